// The page's own script. Text of models reaches the document by textContent alone.
"use strict";
(() => {
  const PAGE = 25;
  const data = JSON.parse(document.getElementById("data").textContent);
  const { texts, runs, agents, encounters, moves, messages, generations, charts, spoken } = data;
  const byId = (id) => document.getElementById(id);

  /** Make an element: properties are set as such, `children` are elements or text. */
  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children.filter((child) => child !== null));
    return element;
  }
  const row = (frame, index) =>
    Object.fromEntries(Object.entries(frame).map(([name, column]) => [name, column[index]]));
  const indices = (frame, keep) => frame.run.map((_, index) => index).filter((index) => keep(index));
  function number(value) {
    if (value === null || value === undefined) return "–";
    return value.toLocaleString("en", { maximumSignificantDigits: 4 });
  }
  const text = (place) => texts[place] ?? "–";

  // --- charts ------------------------------------------------------------------------------------------------------

  const tip = byId("tip");
  /** Show what is pointed at; Vega hands over names and values, which are never read as HTML. */
  function showTip(_, event, __, value) {
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    tip.replaceChildren(
      ...Object.entries(value).map(([name, shown]) => make("div", {}, make("b", { textContent: name }), ` ${shown}`)),
    );
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - box.height - 8))}px`;
  }

  const views = {};
  async function chart(id, name, datasets, onClick) {
    const place = byId(id);
    if (place === null) return;
    views[id]?.finalize();
    const specification = { ...structuredClone(charts[name]), datasets };
    const options = { mode: "vega-lite", renderer: "svg", ast: true, actions: false, defaultStyle: false, tooltip: showTip };
    const result = await vegaEmbed(place, specification, options);
    views[id] = result;
    if (onClick) result.view.addEventListener("click", (_, item) => item?.datum && onClick(item.datum));
  }

  const points = generations.run.map((run, index) => ({
    ...row(generations, index), run: runs[run].label, condition: runs[run].condition, place: run,
  }));
  const drawn = {
    generations: points, conditions: data.conditions, references: data.references, published: data.published,
  };
  const toSociety = (datum) => {
    if (datum.place === undefined) return;
    society(datum.place);
    byId("societies").scrollIntoView();
  };
  const resources = (name) =>
    chart("chart-resources", name, { ...drawn, generations: points.filter((p) => p.mean_final_resources !== null) }, toSociety);

  // --- tables of encounters ----------------------------------------------------------------------------------------

  function validityIn(frame, index) {
    if (frame.replaced_by[index]) return "counted as 0";
    if (frame === moves ? !moves.option[index] : texts[encounters.act[index]] === "missing") return "missing";
    return frame.attempts[index] > 1 ? "read when asked again" : "read at once";
  }
  const validity = (index) => validityIn(encounters, index);
  const VALIDITIES = ["read at once", "read when asked again", "missing", "counted as 0"];
  const isLostIn = (frame, index) => frame !== messages && VALIDITIES.indexOf(validityIn(frame, index)) > 1;
  const isLost = (index) => isLostIn(encounters, index);
  const COLUMNS = [
    ["run", (i) => runs[encounters.run[i]].label],
    ["generation", (i) => number(encounters.generation[i]), "n"],
    ["game", (i) => number(encounters.game[i]), "n"],
    ["round", (i) => number(encounters.round[i]), "n"],
    ["donor", (i) => follower(encounters.run[i], encounters.donor[i])],
    ["recipient", (i) => follower(encounters.run[i], encounters.recipient[i])],
    ["act", (i) => text(encounters.act[i]) + (encounters.intended[i] === null ? "" : ", failed")],
    ["amount (units)", (i) => number(encounters.amount[i]), "n"],
    ["fraction", (i) => number(encounters.fraction[i]), "n"],
    ["donor held (units)", (i) => number(encounters.donor_before[i]), "n"],
    ["recipient held (units)", (i) => number(encounters.recipient_before[i]), "n"],
    ["validity", (i) => validity(i) + (encounters.problem[i] ? `: ${text(encounters.problem[i])}` : "")],
    ["reply", (i) => reader(encounters.words[i])],
    ...(encounters.note.some((place) => place) ? [["recipient's note", (i) => text(encounters.note[i])]] : []),
  ];

  const WHEN = (frame) => [
    ["run", (i) => runs[frame.run[i]].label],
    ["generation", (i) => number(frame.generation[i]), "n"],
    ["game", (i) => number(frame.game[i]), "n"],
    ["round", (i) => number(frame.round[i]), "n"],
  ];
  const MOVES = [
    ...WHEN(moves),
    ["stage", (i) => text(moves.stage[i])],
    ["actor", (i) => follower(moves.run[i], moves.actor[i])],
    ["role", (i) => text(moves.role[i])],
    ["option", (i) => text(moves.option[i]) + (moves.intended[i] ? `, by chance instead of ${text(moves.intended[i])}` : "")],
    ["amount (units)", (i) => number(moves.amount[i]), "n"],
    ...(moves.aimed.some((place) => place) ? [["aimed at (units)", (i) => text(moves.aimed[i])]] : []),
    ["level", (i) => number(moves.level[i]), "n"],
    ["held before (units)", (i) => number(moves.before[i]), "n"],
    ["held after (units)", (i) => number(moves.after[i]), "n"],
    ["validity", (i) => validityIn(moves, i) + (moves.problem[i] ? `: ${text(moves.problem[i])}` : "")],
    ["reply", (i) => reader(moves.words[i])],
  ];
  const MESSAGES = [
    ...WHEN(messages),
    ["turn", (i) => number(messages.turn[i]), "n"],
    ["author", (i) => follower(messages.run[i], messages.author[i])],
    ["to", (i) => text(messages.recipients[i])],
    ["message", (i) => make("div", { className: "words small", dir: "auto", textContent: text(messages.message[i]) })],
  ];
  const without = (columns, ...names) => columns.filter(([name]) => !names.includes(name));

  function follower(run, name) {
    return make("button", { className: "link", type: "button", onclick: () => {
      society(run, text(name));
      byId("societies").scrollIntoView();
    } }, text(name));
  }

  /** A button that opens the replies to one question below its row. */
  function reader(places) {
    if (!places) return "–";
    const label = places.length > 1 ? `read ${places.length}` : "read";
    return make("button", { type: "button", className: "link", ariaExpanded: "false", onclick: (event) => {
      const own = event.currentTarget.closest("tr");
      const isOpen = event.currentTarget.ariaExpanded === "true";
      event.currentTarget.ariaExpanded = String(!isOpen);
      if (isOpen) return own.nextElementSibling.remove();
      own.after(make("tr", {}, make("td", { colSpan: own.cells.length }, ...words(places))));
    } }, label);
  }

  function words(places) {
    return places.map((place) => make("div", { className: "words small", dir: "auto", textContent: text(place) }));
  }

  function table(head, rows, rowClass = () => "") {
    const cells = (row, tag) => row.map(([value, kind]) => make(tag, { className: kind ?? "" }, value));
    return make("div", { className: "scroll", tabIndex: 0 }, make("table", {},
      make("thead", {}, make("tr", {}, ...cells(head, "th"))),
      make("tbody", {}, ...rows.map((row, index) => make("tr", { className: rowClass(index) }, ...cells(row, "td")))),
    ));
  }

  /** Draw the rows of `frame` at `found` into `place`, one page of them at a time. */
  function paged(place, found, columns, frame = encounters, page = 0) {
    const n = Math.max(1, Math.ceil(found.length / PAGE));
    const shown = found.slice(page * PAGE, (page + 1) * PAGE);
    const turn = (to, label) =>
      make("button", { type: "button", disabled: to < 0 || to >= n, onclick: () => paged(place, found, columns, frame, to) }, label);
    const what = frame === moves ? "moves" : frame === messages ? "messages" : "encounters";
    const count = `${found.length.toLocaleString("en")} of ${frame.run.length.toLocaleString("en")} ${what}`;
    place.replaceChildren(
      make("p", { className: "note", role: "status" }, count),
      table(
        columns.map(([name, , kind]) => [name, kind]),
        shown.map((index) => columns.map(([, value, kind]) => [value(index), kind])),
        (index) => (isLostIn(frame, shown[index]) ? "lost" : ""),
      ),
      make("div", { className: "pager" }, turn(page - 1, "earlier"), `page ${page + 1} of ${n}`, turn(page + 1, "later")),
    );
  }

  // --- the filter --------------------------------------------------------------------------------------------------

  function choice(label, options, onchange) {
    const select = make("select", { onchange });
    for (const [value, name] of options) select.append(make("option", { value, textContent: name }));
    return [make("label", {}, label, select), select];
  }
  const different = (values) => [...new Set(values)];
  const byNumber = (a, b) => String(a).localeCompare(String(b), "en", { numeric: true });

  const all = (values, name = String) => [["", "all"], ...values.map((value) => [String(value), name(value)])];

  function filters() {
    const place = byId("filters");
    if (place === null) return;
    const names = different([...encounters.donor, ...encounters.recipient]).sort((a, b) => byNumber(text(a), text(b)));
    const kinds = [
      ["run", all(runs.map((_, index) => index), (index) => runs[index].label), (i, v) => encounters.run[i] === +v],
      ["generation", all(different(encounters.generation).sort(byNumber)), (i, v) => encounters.generation[i] === +v],
      ["game", all(different(encounters.game).sort(byNumber)), (i, v) => encounters.game[i] === +v],
      ["agent", all(names, text), (i, v) => encounters.donor[i] === +v || encounters.recipient[i] === +v],
      ["act", all(different(encounters.act), text), (i, v) => encounters.act[i] === +v],
      ["validity", all(VALIDITIES), (i, v) => validity(i) === v],
    ];
    choose(place, "filter", kinds, byId("encounter-table"), COLUMNS, encounters);
  }

  /** Filters of moves or messages by when and by whom; `more` are further ones. */
  function filtersOf(name, frame, who, columns, more) {
    const place = byId(`${name}-filters`);
    if (place === null) return;
    const names = different(frame[who]).sort((a, b) => byNumber(text(a), text(b)));
    choose(place, `${name}-filter`, [
      ["run", all(runs.map((_, index) => index), (index) => runs[index].label), (i, v) => frame.run[i] === +v],
      ["generation", all(different(frame.generation).sort(byNumber)), (i, v) => frame.generation[i] === +v],
      ["game", all(different(frame.game).sort(byNumber)), (i, v) => frame.game[i] === +v],
      [who, all(names, text), (i, v) => frame[who][i] === +v],
      ...more,
    ], byId(`${name}-table`), columns, frame);
  }

  function choose(place, prefix, kinds, target, columns, frame) {
    const chosen = kinds.map(([name, options, test]) => {
      const [label, select] = choice(name, options, apply);
      select.id = `${prefix}-${name}`;
      place.append(label);
      return [select, test];
    });
    function apply() {
      const active = chosen.filter(([select]) => select.value !== "");
      const found = indices(frame, (i) => active.every(([select, test]) => test(i, select.value)));
      paged(target, found, runs.length > 1 ? columns : columns.slice(1), frame);
    }
    place.append(make("button", { type: "button", onclick: () => {
      for (const [select] of chosen) select.value = "";
      apply();
    } }, "show all"));
    apply();
  }

  // --- one society, one agent --------------------------------------------------------------------------------------

  const fate = (index) => {
    const { survived } = row(agents, index);
    return survived === null ? "last generation, or not ended" : survived ? "survived" : "replaced";
  };

  function society(run, agent) {
    const own = indices(agents, (index) => agents.run[index] === run);
    own.sort((a, b) => agents.born[a] - agents.born[b] || byNumber(text(agents.agent[a]), text(agents.agent[b])));
    const names = different(own.map((index) => text(agents.agent[index])));
    const pickRun = byId("society-run"), pickAgent = byId("society-agent");
    if (pickRun === null) return;
    pickRun.value = String(run);
    pickAgent.replaceChildren(...names.map((name) => make("option", { value: name, textContent: name })));
    const cells = own.map((index) => ({
      ...row(agents, index), agent: text(agents.agent[index]), fate: fate(index),
    }));
    chart("chart-society", "society", { society: cells }, (datum) => datum.agent && follow(run, datum.agent));
    const best = own.reduce((a, b) => ((agents.score[b] ?? -1) > (agents.score[a] ?? -1) ? b : a), own[0]);
    if (own.length) follow(run, names.includes(agent) ? agent : text(agents.agent[best]));
    else byId("agent").replaceChildren(make("p", {}, "No agent of this run is known."));
  }

  function follow(run, name) {
    byId("society-agent").value = name;
    const lives = indices(agents, (index) => agents.run[index] === run && text(agents.agent[index]) === name);
    const first = row(agents, lives[0]);
    const others = indices(agents, (i) => agents.run[i] === run && agents.generation[i] === agents.born[i]);
    const children = others.filter((i) => text(agents.parents[i]).split(" ").includes(name));
    const isOfMoves = moves.run.includes(run);
    const frame = isOfMoves ? moves : encounters;
    const who = isOfMoves ? moves.actor : encounters.donor;
    const turns = indices(frame, (i) => frame.run[i] === run && text(who[i]) === name);
    turns.sort((a, b) => ["generation", "game", "round"].reduce((d, key) => d || frame[key][a] - frame[key][b], 0));
    const heard = indices(messages, (i) => messages.run[i] === run
      && (text(messages.author[i]) === name || text(messages.recipients[i]).split(" ").includes(name)));
    const link = (other) =>
      make("button", { type: "button", className: "link", onclick: () => follow(run, other) }, other);
    const linked = (list) => (list.length ? list.flatMap((other) => [link(other), " "]) : ["none"]);
    const parents = first.parents ? text(first.parents).split(" ") : [];
    const decisions = make("div", { className: "paged" }), talk = make("div", { id: "talk", className: "paged" });
    byId("agent").replaceChildren(
      make("h3", {}, `Agent ${name} of ${runs[run].label}`),
      make("dl", {},
        make("dt", {}, "model"), make("dd", {}, runs[run].model ?? "–"),
        ...(first.persona ? [make("dt", {}, "persona"), make("dd", { dir: "auto" }, text(first.persona))] : []),
        make("dt", {}, "born in generation"), make("dd", {}, number(first.born)),
        make("dt", {}, "was shown the strategies of"), make("dd", {}, ...linked(parents)),
        make("dt", {}, "its own was shown to"), make("dd", {}, ...linked(children.map((i) => text(agents.agent[i])))),
      ),
      table(
        [["generation", "n"], ["score (units)", "n"], [spoken.name, "n"], ["decisions", "n"], ["missing", "n"], ["fate"]],
        lives.map((i) => [
          [number(agents.generation[i]), "n"], [number(agents.score[i]), "n"], [number(agents[spoken.column][i]), "n"],
          [number(agents.n_decisions[i]), "n"], [number(agents.n_missed[i]), "n"], [fate(i)],
        ]),
      ),
      make("h3", {}, "Its strategy"),
      make("div", { id: "strategy", className: "words", dir: "auto", tabIndex: 0,
        textContent: first.strategy ? text(first.strategy) : "(none: a scripted policy, a society without strategies, or none could be read)" }),
      first.words.length ? make("details", {}, make("summary", {}, "The replies it comes from"), ...words(first.words)) : "",
      make("h3", {}, "Its decisions"),
      make("div", { id: "chart-life", className: "chart" }),
      decisions,
      ...(heard.length ? [make("h3", {}, "What was said by it and to it"), talk] : []),
    );
    if (heard.length) paged(talk, heard, without(MESSAGES, "run"), messages);
    const when = (i) => `generation ${frame.generation[i]}, game ${frame.game[i]}, round ${frame.round[i]}`;
    const life = turns.map((i, turn) => (isOfMoves ? {
      generation: moves.generation[i], turn: turn + 1, where: when(i), stage: text(moves.stage[i]), role: text(moves.role[i]),
      amount: moves.amount[i], level: moves.level[i], kind: isLostIn(moves, i) ? "lost" : text(moves.option[i]),
      shown: isLostIn(moves, i) ? 0 : moves.level[i],
    } : {
      ...row(encounters, i), turn: turn + 1, recipient: text(encounters.recipient[i]), act: text(encounters.act[i]),
      kind: isLost(i) ? "lost" : text(encounters.act[i]), shown: isLost(i) ? 0 : encounters.fraction[i],
      where: when(i),
    }));
    const borders = life.filter((t, i) => i && t.generation !== life[i - 1].generation).map((t) => ({ turn: t.turn - 0.5 }));
    chart("chart-life", isOfMoves ? "moves" : "life", { life, borders });
    paged(decisions, turns, isOfMoves ? without(MOVES, "run", "actor") : without(COLUMNS, "run", "donor"), frame);
  }

  function societies() {
    const pickRun = byId("society-run");
    if (pickRun === null) return;
    runs.forEach((run, index) => pickRun.append(make("option", { value: String(index), textContent: run.label })));
    pickRun.onchange = () => society(+pickRun.value);
    byId("society-agent").onchange = () => follow(+pickRun.value, byId("society-agent").value);
    society(agents.run[0] ?? 0);
  }

  // What is folded is printed, but for prompts and what columns mean; then it is folded again.
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll("details:not([open]):not(.long):not(.meanings)")];
    for (const details of unfolded) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of unfolded) details.open = false;
  });

  filters();
  filtersOf("move", moves, "actor", MOVES, [
    ["stage", all(different(moves.stage), text), (i, v) => moves.stage[i] === +v],
    ["option", all(different(moves.option).filter((place) => place), text), (i, v) => moves.option[i] === +v],
    ["validity", all(VALIDITIES), (i, v) => validityIn(moves, i) === v],
  ]);
  filtersOf("message", messages, "author", MESSAGES, []);
  societies();
  if (byId("chart-resources") !== null) {
    const axes = document.getElementsByName("axis");
    for (const button of axes) button.onchange = () => resources(button.value);
    resources(axes.length ? "resources_log" : "resources_linear");
    chart("chart-fractions", "fractions", drawn, toSociety);
  }
})();
