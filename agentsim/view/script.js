// The live page. The server sends what has changed (server-sent events); this draws it.
// Everything that comes from a log is set as text, never as markup, and the page's policy allows no other script.
"use strict";

// --- drawing -----------------------------------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";

function element(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}
const h = (tag, attributes, ...children) => element(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => element(document.createElementNS(SVG, tag), attributes, children);

// Change what is on the page into what it should be, node by node: focus, scrolling and open details stay.
function morph(old, now) {
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName) {
    old.replaceWith(now);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!now.hasAttribute(name) && name !== "open" && name !== "style" && name !== "tabindex") old.removeAttribute(name);
  }
  for (const { name, value } of [...now.attributes]) {
    if (name !== "style" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const name of ["--v", "width"]) {  // through the style object, which the policy allows
    const value = now.style.getPropertyValue(name);
    if (old.style.getPropertyValue(name) !== value) old.style.setProperty(name, value);
  }
  if (old.nodeName === "SELECT" && old === document.activeElement) return;
  const before = [...old.childNodes], after = [...now.childNodes];
  after.forEach((child, place) => (place < before.length ? morph(before[place], child) : old.append(child)));
  before.slice(after.length).forEach((child) => child.remove());
}

function draw(...children) {
  const main = document.getElementById("main"), now = main.cloneNode(false);
  now.append(...children.flat(Infinity).filter(Boolean));
  morph(main, now);
}

const styled = (made, name, value) => (made.style.setProperty(name, value), made);

// --- words for numbers -------------------------------------------------------------------------------------------------

const whole = new Intl.NumberFormat("en");
const count = (n) => (n === null || n === undefined ? "–" : whole.format(Math.round(n)));
const short = (x) => (x === null || x === undefined ? "–" : Number(Number(x).toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 4 }));
const many = (n, one, more) => `${count(n)} ${n === 1 ? one : more}`;

function span(seconds) {
  if (seconds === null || seconds === undefined) return "not known yet";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.round(minutes / 1440)} days`;
}
const ago = (at) => (at ? `${span(Math.max(0, Date.now() / 1000 - at))} ago` : "");
const dollars = (usd) => `US$ ${usd.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: usd < 0.1 ? 4 : 2 })}`;

// --- where we are ------------------------------------------------------------------------------------------------------

const part = encodeURIComponent;
const toStudy = (study) => `#/${part(study)}`;
const toRun = (study, run, generation) => `#/${part(study)}/${part(run)}${generation ? `/generation/${generation}` : ""}`;
const toQuestion = (study, run, key) => `#/${part(study)}/${part(run)}/question/${part(key)}`;

function place() {
  const [study, run, what, value] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  return { study, run, generation: what === "generation" ? value : "", question: what === "question" ? value : "" };
}
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// --- what comes from the server ----------------------------------------------------------------------------------------

let stream = null;
let shown = {};
let known = {};
let comparison = null;

function say(text, kind) {
  const state = document.getElementById("state");
  if (state.textContent !== text) state.textContent = text;
  state.className = kind || "";
}

function listen(address, name, take) {
  stream = new EventSource(address);
  known = { cells: {} };
  stream.onopen = () => {
    known = { cells: {} };
    say("live", "on");
  };
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) gone(address);
    else say("no connection; trying again", "off");
  };
  stream.addEventListener("reading", (event) => say(`reading logs: ${Math.round(100 * JSON.parse(event.data))} %`, "on"));
  stream.addEventListener(name, (event) => {
    const { cells, ...changed } = JSON.parse(event.data);
    Object.assign(known, changed);
    for (const [key, value] of Object.entries(cells || {})) {
      if (value === null) delete known.cells[key];
      else known.cells[key] = value;
    }
    say("live", "on");
    take();
  });
}

async function gone(address) {
  say("not there", "off");
  try {
    const answer = await fetch(address);
    if (answer.status === 404) {
      draw(h("h1", {}, "Not found"), h("p", { class: "warn" }, (await answer.json()).problem), h("p", {}, h("a", { href: "#/" }, "All studies")));
      return;
    }
    answer.body.cancel();
  } catch {
    // the server has ended
  }
  setTimeout(() => go(true), 3000);
}

async function get(address, query) {
  const answer = await fetch(`${address}?${new URLSearchParams(query)}`);
  return answer.json();
}

function go(again) {
  if (stream) stream.close();
  stream = null;
  const here = place();
  if (!again && here.study !== shown.study) comparison = null;
  shown = here;
  const query = new URLSearchParams(here.run ? { study: here.study, run: here.run, generation: here.generation } : { study: here.study });
  const trail = [h("a", { href: "#/" }, "agentsim")];
  if (here.study) trail.push(h("a", { href: toStudy(here.study) }, here.study));
  if (here.run) trail.push(h("a", { href: toRun(here.study, here.run) }, here.run));
  if (here.question) trail.push(h("a", { href: location.hash }, here.question));
  trail[trail.length - 1].setAttribute("aria-current", "page");
  document.getElementById("trail").replaceChildren(...trail);
  document.title = [here.question, here.run, here.study, "agentsim"].filter(Boolean).join(" · ");
  if (!again) {
    document.getElementById("main").replaceChildren();
    window.scrollTo(0, 0);
    if (location.hash) document.getElementById("main").focus({ preventScroll: true });
  }
  if (here.question) showQuestion(here);
  else if (here.run) listen(`live/run?${query}`, "run", drawRun);
  else if (here.study) listen(`live/study?${query}`, "study", drawStudy);
  else listen("live/studies", "studies", drawStudies);
}

// --- all studies -------------------------------------------------------------------------------------------------------

function drawStudies() {
  const rows = known.studies || [];
  draw(
    h("h1", {}, "Studies"),
    h("p", { class: "soft" }, `In ${known.place}, the one that changed last first.`),
    rows.length === 0 && h("p", { class: "warn" }, "This folder holds no studies yet. As soon as agentsim run begins one, it appears here."),
    rows.length > 0 && table(["study", "", "runs done", "last change"], rows.map((row) => [
      h("th", { scope: "row" }, h("a", { href: toStudy(row.id), class: "text" }, row.title), row.kind === "probe" && " (probe)", h("div", { class: "note text" }, row.about)),
      cell("state", row.playing ? h("strong", {}, "being played") : row.begun === 0 ? "not begun" : row.done === row.all ? "complete" : "not complete"),
      cell("runs done", h("span", {}, `${count(row.done)} of ${count(row.all)} `, h("progress", { max: 1, value: row.all ? row.done / row.all : 0, "aria-label": "runs done" }))),
      cell("last change", ago(row.changed)),
    ]), "stack"),
  );
}

function table(head, rows, kind) {
  const top = head.map((name) => (typeof name === "string" ? h("th", { scope: "col" }, name) : name));
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "table" }, h("table", { class: kind }, h("thead", {}, h("tr", {}, top)), h("tbody", {}, rows.map((row) => h("tr", {}, row)))));
}
const cell = (name, ...content) => h("td", { "data-name": name }, content);
const number = (name, ...content) => h("td", { class: "n", "data-name": name }, content);
const right = (name) => h("th", { scope: "col", class: "n" }, name);

// --- one study ---------------------------------------------------------------------------------------------------------

function drawStudy() {
  const s = known, counts = s.counts || {};
  const done = (counts.complete || 0) + (counts.unread || 0);
  draw(
    h("h1", { class: "text" }, s.title),
    s.about && h("p", { class: "soft text" }, s.about),
    h("dl", { class: "tiles" },
      tile("runs complete", `${count(done)} of ${count(s.all)}`, Object.entries(counts).filter(([name]) => name !== "complete").map(([name, n]) => `${count(n)} ${name}`).join(", ")),
      tile("questions answered", count(s.answered), s.questions ? `of about ${count(s.questions)}` : ""),
      s.playing && tile("answers a second", short(s.rate), bars(s.bars), s.calls && `${count(s.calls.open)} calls under way`),
      s.playing && tile("time left", s.left_s === null ? "–" : span(s.left_s), s.left_s === null ? "not known yet" : "at the pace of the last five minutes"),
      tile("money", ...money(s.money)),
      tile("not readable", count(s.lost), `${count(s.again)} asked again`, s.calls && s.calls.refused > 0 && `${many(s.calls.refused, "call", "calls")} refused by servers`)),
    s.reasons.length > 0 && h("div", { class: "warn" }, h("ul", {}, s.reasons.map((one) => h("li", { class: "text" }, runs(one), one.what)))),
    h("h2", {}, "Conditions"),
    conditions(s.conditions, s.conditions.some((one) => one.usd)),
    h("div", { class: "two" },
      h("section", { "aria-label": "Final resources" }, h("h2", {}, "Mean final resources, generation by generation"), chart(s.conditions)),
      h("section", { "aria-label": "Waiting" },
        h("h2", {}, "What waits for what"),
        s.waits.length ? h("ul", { class: "plain" }, s.waits.map((one) => h("li", {}, runs(one), one.what))) : h("p", { class: "soft" }, done === s.all ? "Nothing: all runs have ended." : "Nothing."))),
    h("h2", {}, "Runs"),
    h("p", { class: "note" }, "Each box is a run; its bar shows the share of questions that are answered. Choose one to watch its society."),
    runBoxes(),
    h("h2", {}, "Answers that could not be read"),
    s.troubles.length ? troubles(s) : h("p", { class: "soft" }, "None so far."),
    h("h2", {}, "Comparison so far"),
    compared(counts.complete || 0),
  );
}

const tile = (name, value, ...small) => h("div", {}, h("dt", {}, name), h("dd", {}, value, small.flat().filter(Boolean).map((one) => (typeof one === "string" ? h("span", { class: "small" }, one) : one))));
const runs = (one) => [h("a", { href: toRun(shown.study, one.run) }, one.n === 1 ? one.run : `${count(one.n)} runs`), ": "];

function money(m) {
  const small = [];
  if (m.budget) small.push(`of ${dollars(m.budget)} at most`);
  if (m.open_usd > 0.00005) small.push(`and up to ${dollars(m.open_usd)} for calls without a stored answer`);
  if (m.unpriced) small.push(`the cost of ${many(m.unpriced, "run", "runs")} is not known`);
  return [dollars(m.usd), ...small];
}

function bars(values) {
  if (!values) return null;
  const most = Math.max(1, ...values);
  return svg("svg", { viewBox: "0 0 120 22", role: "img", "aria-label": "answers in the last five minutes" },
    values.map((n, place) => n > 0 && svg("rect", { class: "bar", x: 2 * place, width: 1.6, y: 22 - (22 * n) / most, height: (22 * n) / most })));
}

function conditions(rows, priced) {
  const heads = ["condition", "", right("runs"), right("answered"), "now in generation", right("mean final"), right("level"), right("not readable"), ...(priced ? [right("US$")] : [])];
  return [
    table(heads, rows.map((one, place) => [
      h("th", { scope: "row", class: "text" }, h("span", { class: `swatch f${place % 7}` }), one.name),
      cell("", h("progress", { max: 1, value: one.share, "aria-label": `${Math.round(100 * one.share)} % answered` })),
      number("runs complete", `${count((one.counts.complete || 0) + (one.counts.unread || 0))} of ${count(one.all)}`),
      number("answered", count(one.answered)),
      cell("now in generation", one.playing.map(([generation, n]) => `${generation}${n > 1 ? ` (${n} runs)` : ""}`).join(", ") || "–"),
      number("mean final", one.final ? `${short(one.final.mean)}${one.final.sd === null ? "" : ` ± ${short(one.final.sd)}`}` : "–"),
      number("level", short(one.level)),
      number("not readable", count(one.lost), one.again > 0 && h("span", { class: "soft" }, ` (${count(one.again)} again)`)),
      ...(priced ? [number("US$", one.usd === null ? "not known" : one.usd.toFixed(2))] : []),
    ]), "stack"),
    h("p", { class: "note" }, "Mean final: of the last generation of complete runs, ± the standard deviation between them. Level: how cooperative decisions are in the generations that live now, from 0 to 1 (in the donor game the fraction given). Differences between these numbers may be chance; the comparison below says what can be concluded."),
  ];
}

// The next of 1, 2, 5, 10, 20, ...
function nice(step) {
  const power = 10 ** Math.floor(Math.log10(step));
  return power * [1, 2, 5, 10].find((one) => one * power >= step * 0.999);
}

function chart(rows) {
  const lines = rows.map((one, place) => ({ name: one.name, place, series: one.series })).filter((one) => one.series.length);
  if (!lines.length) return h("p", { class: "soft" }, "No generation has ended yet.");
  const longest = Math.max(...rows.map((one) => one.generations), ...lines.map((one) => one.series.length));
  const top = Math.max(...lines.flatMap((one) => one.series.map(([, , high]) => high)), 1e-9);
  const low = Math.min(0, ...lines.flatMap((one) => one.series.map(([, least]) => least)));
  const width = matchMedia("(max-width: 700px)").matches ? 360 : 600;
  const x = (generation) => 52 + (generation - 1) * ((width - 80) / Math.max(1, longest - 1));
  const y = (value) => 228 - ((value - low) / (top - low)) * 210;
  const step = nice((top - low) / 5);
  const ticks = Array.from({ length: 12 }, (_, place) => (Math.ceil(low / step) + place) * step).filter((value) => value <= top);
  return [
    svg("svg", { viewBox: `0 0 ${width} 262`, role: "img", "aria-label": `Mean final resources by generation of ${many(lines.length, "condition", "conditions")}; the table above has the last values` },
      ticks.map((value) => [svg("line", { class: "axis", x1: 48, x2: width - 20, y1: y(value), y2: y(value) }), svg("text", { x: 43, y: y(value) + 4, "text-anchor": "end" }, short(value))]),
      Array.from({ length: longest }, (_, place) => (longest <= width / 30 || place % 5 === 4) && svg("text", { x: x(place + 1), y: 247, "text-anchor": "middle" }, String(place + 1))),
      svg("text", { x: width - 20, y: 261, "text-anchor": "end" }, "generation"),
      lines.map(({ place, series }) => [
        series.length > 1 && svg("polygon", { class: `band s${place % 7}`, points: [...series.map(([, , high], g) => `${x(g + 1)},${y(high)}`), ...series.map(([, least], g) => `${x(g + 1)},${y(least)}`).reverse()].join(" ") }),
        svg("polyline", { class: `s${place % 7}`, "stroke-dasharray": ["", "7 4", "2 3"][Math.floor(place / 7) % 3] || null, points: series.map(([mean], g) => `${x(g + 1)},${y(mean)}`).join(" ") }),
        series.map(([mean], g) => svg("circle", { class: `s${place % 7}`, cx: x(g + 1), cy: y(mean), r: 3 }))])),
    h("ul", { class: "legend" }, lines.map(({ name, place }) => h("li", { class: "text" }, h("span", { class: `swatch f${place % 7}` }), name))),
    h("p", { class: "note" }, "Lines: means over the runs that have ended a generation, units; bands: from the lowest to the highest run."),
  ];
}

const natural = new Intl.Collator("en", { numeric: true });
function runBoxes() {
  const groups = new Map();
  for (const run of Object.keys(known.cells).sort(natural.compare)) {
    const [condition] = known.cells[run];
    groups.set(condition, [...(groups.get(condition) || []), run]);
  }
  return [...groups].map(([condition, names]) => [
    groups.size > 1 && h("h3", { class: "text" }, condition),
    h("ul", { class: "runs" }, names.map((run) => {
      const [, seed, status, share, generation, generations, mean] = known.cells[run];
      const title = `${run}: ${status}, ${Math.round(100 * share)} % answered${generations ? `, generation ${generation} of ${generations}` : ""}${mean === null ? "" : `, last mean ${short(mean)}`}`;
      return h("li", {}, h("a", { href: toRun(shown.study, run), class: status, title, "aria-label": title }, seed.replace(/^seed-/, ""), styled(h("i", {}), "width", `${100 * share}%`)));
    })),
  ]);
}

function troubles(s) {
  return [
    h("ul", { class: "plain" }, s.troubles.slice(0, 12).map((one) => h("li", {},
      h("a", { href: toQuestion(shown.study, one.run, one.key), class: "text" }, `${one.run}, ${one.key}`), ": ", h("span", { class: one.lost ? "lost" : "" }, one.what), h("span", { class: "soft" }, ` · ${ago(one.at)}`)))),
    h("p", { class: "note" }, `${count(s.n_troubles)} in all; the newest are listed.`),
  ];
}

function compared(complete) {
  if (complete < 2) return h("p", { class: "soft" }, "As soon as at least two runs are complete, they can be compared here.");
  if (comparison === null) {
    compare("");
    return h("p", { class: "soft" }, "Comparing the runs that are complete …");
  }
  if (!comparison.busy && comparison.n_complete !== complete && Date.now() > comparison.next) compare(comparison.asked);
  const c = comparison, cannot = (c.pairs || []).filter((pair) => /cannot say/.test(pair.verdict || ""));
  return [
    c.options && c.options.length > 1 && h("p", {}, h("label", {}, "by ", h("select", { id: "by" }, c.options.map((name) => h("option", { value: name, selected: name === c.by }, name))))),
    c.problem && h("p", { class: "warn text" }, `Cannot say: ${c.problem}`),
    cannot.length > 0 && h("p", { class: "warn" }, `Of ${many(c.pairs.length, "pair", "pairs")}, ${count(cannot.length)} cannot be told apart yet; the column “verdict” says why.`),
    c.groups && table([c.by, right("runs"), right("geometric mean"), right("95 % interval"), ...(c.groups.some((one) => one.problem) ? ["why not"] : [])], c.groups.map((one) => [
      h("th", { scope: "row", class: "text" }, one.group), number("runs", count(one.n_runs)), number("geometric mean", short(one.geometric_mean)), number("95 % interval", interval(one)), ...(c.groups.some((each) => each.problem) ? [cell("", one.problem || "")] : [])]), "stack"),
    c.pairs && table(["pair", right("ratio"), right("95 % interval"), right("p, Holm"), "verdict"], c.pairs.map((one) => [
      h("th", { scope: "row", class: "text" }, `${one.first} / ${one.second}`), number("ratio", short(one.ratio)), number("95 % interval", interval(one)), number("p, Holm", short(one.p_holm)), cell("verdict", one.verdict || one.problem || "")]), "stack"),
    c.notes && c.notes.length > 0 && h("ul", { class: "note" }, c.notes.map((note) => h("li", { class: "text" }, note))),
    h("p", { class: "note" }, `${c.busy ? "Being computed again. " : ""}By agentsim compare, over the ${count(c.n_complete)} complete runs that were there; it is computed again as runs end, seldom enough to cost the study next to nothing.`),
  ];
}
const interval = (one) => (one.low === null && one.high === null ? "–" : `${one.low === null ? "…" : short(one.low)} to ${one.high === null ? "…" : short(one.high)}`);

async function compare(by) {
  const study = shown.study;
  comparison = { ...(comparison || { n_complete: 0 }), busy: true, asked: by };
  let found;
  try {
    found = await get("comparison", { study, by });
  } catch {
    found = { problem: "there was no connection", n_complete: -1 };
  }
  if (shown.study !== study) return;
  comparison = { ...found, asked: by, busy: false, next: Date.now() + 1000 * Math.max(5, found.again_s || 0) };
  if (known.counts) drawStudy();
}
document.addEventListener("change", (event) => {
  if (event.target.id === "by") compare(event.target.value);
});

// --- one society -------------------------------------------------------------------------------------------------------

function drawRun() {
  const r = known, names = r.agents.map((one) => one.id);
  const tabs = Array.from({ length: Math.max(r.living, r.generation) }, (_, place) => place + 1);
  draw(
    h("h1", { class: "text" }, shown.run),
    h("p", { class: "soft text" }, [r.label, r.seed === null ? "" : `seed ${r.seed}`, r.finished ? "complete" : `generation ${r.living} of ${r.generations}`].filter(Boolean).join(" · ")),
    h("nav", { "aria-label": "Generations" }, h("ul", { class: "tabs" }, tabs.map((number) => h("li", {}, h("a", { href: toRun(shown.study, shown.run, number === r.living && !r.finished ? "" : number), "aria-current": number === r.generation ? "true" : null }, String(number)))))),
    r.waits.length > 0 && h("ul", {}, r.waits.map((what) => h("li", { class: "text" }, what))),
    r.means.length > 0 && h("p", {}, "Mean final resources by generation: ", r.means.map(([, mean]) => short(mean)).join(" → ")),
    r.games.map((game) => names.length > 0 && game.rounds > 0 && [h("h2", {}, r.games.length > 1 ? `Generation ${r.generation}, game ${game.game}` : `Generation ${r.generation}`), grid(game, names)]),
    r.games.length > 0 && h("ul", { class: "legend" }, h("li", {}, "Numbers: how cooperative the act was, in percent (in the donor game the share given)"), h("li", {}, "framed: asked now"), h("li", {}, "dashed: waits for earlier decisions"), h("li", {}, "×: nothing could be read"), h("li", {}, "Arrow keys move; Enter opens prompt and reply")),
    h("h2", {}, "Agents"),
    names.length ? agents(r) : h("p", { class: "soft" }, "No agent has joined yet."),
    r.last.length > 0 && (r.finished || r.generation === r.living) && [h("h2", {}, "What came last"), h("ul", { class: "plain" }, r.last.map(([key, what]) => h("li", {}, h("a", { href: toQuestion(shown.study, shown.run, key), class: "text" }, what), h("span", { class: "soft" }, ` · ${key}`))))],
  );
}

function grid(game, names) {
  const rounds = Array.from({ length: game.rounds }, (_, place) => place + 1);
  return h("div", { class: "scroll" }, h("table", { class: "grid" },
    h("caption", { class: "skip" }, `Game ${game.game}: agents by rounds`),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "round"), rounds.map((round) => h("th", { scope: "col" }, String(round))))),
    h("tbody", {}, names.map((name) => h("tr", {}, h("th", { scope: "row" }, name), rounds.map((round) => h("td", {}, box(known.cells[`${game.game}/${round}/${name}`], name, round))))))));
}

function box(found, name, round) {
  if (!found) return h("span", { class: "cell none", "aria-hidden": "true" }, "");
  const [state, level, said, other, key] = found;
  const title = `${name}${other ? ` with ${other}` : ""}, round ${round}: ${said}`;
  const words = state === "lost" ? "×" : state === "asked" ? "…" : state === "waits" ? "·" : level === null ? "–" : String(Math.round(100 * level));
  if (state === "waits") return h("span", { class: "cell waits", title, "aria-label": title, role: "img" }, words);
  return styled(h("a", { class: `cell ${state}`, href: toQuestion(shown.study, shown.run, key), title, "aria-label": title, "data-grid": true }, words), "--v", String(state === "done" && level !== null ? level : 0));
}

function agents(r) {
  const scored = r.agents.some((one) => one.score !== null);
  const mixed = new Set(r.agents.map((one) => one.label)).size > 1;
  return table(["agent", ...(mixed ? ["player"] : []), "learned from", right("units held"), ...(scored ? [right("score"), "survives"] : []), "strategy"], r.agents.map((one) => [
    h("th", { scope: "row" }, h("a", { href: toQuestion(shown.study, shown.run, one.key) }, one.id)),
    ...(mixed ? [cell("player", one.label)] : []),
    cell("learned from", one.parents.join(", ") || "–"),
    number("units held", one.held.map(short).join(" / ") || "–"),
    ...(scored ? [number("score", short(one.score)), cell("survives", one.survives === null ? "–" : one.survives ? "yes" : "no")] : []),
    h("td", { class: "text words-cell" }, one.strategy === null ? h("span", { class: "soft" }, "none that could be read") : one.strategy.length < 220 ? one.strategy : h("details", {}, h("summary", { class: "text" }, `${one.strategy.slice(0, 160)} …`), one.strategy)),
  ]), "stack");
}

// Arrow keys move over the encounters of a grid.
document.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const here = document.activeElement;
  if (!step || !here || !here.matches("[data-grid]") || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  let td = here.closest("td");
  for (;;) {
    const row = step[0] > 0 ? td.parentNode.nextElementSibling : step[0] < 0 ? td.parentNode.previousElementSibling : td.parentNode;
    td = row && row.children[td.cellIndex + step[1]];
    if (!td || td.nodeName !== "TD") return;
    const link = td.querySelector("[data-grid]");
    if (link) return link.focus();
  }
});

// --- one question ------------------------------------------------------------------------------------------------------

async function showQuestion(here) {
  let q;
  try {
    q = await get("question", { study: here.study, run: here.run, key: here.question });
  } catch {
    say("no connection; trying again", "off");
    setTimeout(() => shown === here && showQuestion(here), 3000);
    return;
  }
  if (shown !== here) return;
  const isOpen = !q.problem && Object.keys(q.facts).length === 0;
  say(isOpen ? "live" : "from the log", "on");
  if (q.problem) {
    draw(h("h1", { class: "text" }, here.question), h("p", { class: "warn" }, `${q.problem} If it is asked now, it appears here as soon as its first reply is stored.`));
  } else {
    drawQuestion(here, q);
  }
  if (isOpen || q.problem) setTimeout(() => shown === here && showQuestion(here), 2000);
}

function drawQuestion(here, q) {
  const step = (key, name) => (key ? h("a", { href: toQuestion(here.study, here.run, key) }, `${name} (${key})`) : null);
  draw(
    h("h1", { class: "text" }, q.key),
    h("p", { class: "steps" }, step(q.before, "← this agent’s question before"), step(q.after, "this agent’s next question →")),
    h("p", { class: `read text${q.facts.problem ? " lost" : ""}` }, h("strong", {}, "Read as: "), q.said),
    q.strategy && [h("h2", {}, "Strategy"), h("pre", { class: "words" }, q.strategy)],
    q.text && [h("h2", {}, "Text"), h("pre", { class: "words" }, q.text)],
    q.attempts.map((one, place) => h("section", { "aria-label": `Attempt ${one.attempt}` },
      h("h2", {}, q.attempts.length > 1 ? `Attempt ${one.attempt}${place < q.attempts.length - 1 ? ", not read" : ""}` : "Question and reply"),
      h("h3", {}, "Prompt"),
      one.prompt.map(([role, text], number) => h("details", { open: place === 0 || number === one.prompt.length - 1 }, h("summary", {}, role), h("pre", { class: "words prompt" }, text))),
      one.thoughts !== null && [h("h3", {}, "Thoughts"), h("pre", { class: "words thought" }, one.thoughts)],
      h("h3", {}, "Reply"),
      one.text ? h("pre", { class: "words" }, one.text) : h("p", { class: "soft" }, "The reply is empty."),
      h("p", { class: "note text" }, [one.model, `ended with ${one.finish}`, `${short(one.latency_s)} s`, ...Object.entries(one.usage).map(([name, n]) => `${count(n)} ${name.replaceAll("_", " ")}`), ...Object.entries(one.sampling).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`), one.time].join(" · ")))),
    h("h2", {}, "What followed"),
    Object.keys(q.facts).length ? h("dl", { class: "facts" }, Object.entries(q.facts).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])) : h("p", { class: "soft" }, "Nothing yet."),
  );
}

window.addEventListener("hashchange", () => go(false));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    if (stream) stream.close();
    stream = null;
    say("paused while this page is hidden", "");
  } else if (!stream && !shown.question) {
    go(true);
  }
});
go(false);
