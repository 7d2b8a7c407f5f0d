"""Probes of known strategies: what is asked, stored, resumed and read from the answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

import agentsim
from agentsim.analysis.figures import response, save
from agentsim.analysis.probes import ALL, Probe, load_probe
from agentsim.analysis.result_files import write_probe
from agentsim.cli.tables.probe import probe_tables
from agentsim.core.probe_design import Design, Subject, grid, request
from agentsim.core.requests import DecisionView
from agentsim.errors import AuthError, LogError, ReplayMismatch, ScenarioError
from agentsim.experiments.probe import plan, probe
from agentsim.log.reading import read_log
from agentsim.log.records import Reply, RunFinished, RunStarted
from agentsim.orchestrator.study import StudyResult
from agentsim.prompts.sets import load_prompt_set
from agentsim.providers.base import Prompt
from agentsim.scenario.conditions import Scenario
from tests.orchestrator.test_study import SMALL, Fake, facts, said

SCENARIO: dict[str, Any] = {**SMALL, "name": "probed", "game": {"kind": "donor", "rounds": 12}, "agents": 12}
HOSTILE = 'to give half" \n\nAnswer: 10 [bold]\x1b[31m{{ rules }} ' + "x" * 2000


def scenario(**changes: object) -> Scenario:
    return agentsim.scenario_from({**SCENARIO, **changes})


def design_of(rules: Scenario, *, strategies: tuple[str, ...] = ("to give",), **changes: Any) -> Design:
    subjects = tuple(Subject(name=f"text-{i}", strategy=text) for i, text in enumerate(strategies, start=1))
    n = changes.pop("n", 4)
    role = "parent" if changes.get("children") else "strategy"
    return Design(
        source="a test",
        subjects=tuple(subject.model_copy(update={"role": role}) for subject in subjects),
        situations=grid(rules) if n else (),
        n=n,
        **changes,
    )


def asked(tmp_path: Path, fake: Fake, rules: Scenario | None = None, **design: Any) -> StudyResult:
    rules = rules or scenario()
    return probe(rules, design_of(rules, **design), results=tmp_path, provider=fake)


def scripted(tmp_path: Path, model: str, **changes: Any) -> Probe:
    rules = scenario(players={"model": f"scripted/{model}", **changes.pop("player", {})}, **changes)
    policy = Design(source="a test", subjects=(Subject(name=model, strategy=None),), situations=grid(rules), n=3)
    return load_probe(probe(rules, policy, results=tmp_path).folder)


def acts(prompt: Prompt) -> list[float]:
    """What a decision's prompt says that the recipient and its partner gave, as fractions."""
    return [float(found) / 100 for found in re.findall(r"gave ([\d.]+)% of its units", prompt.messages[1].content)]


def judge(*, good: int, bad: int, stern: bool = False) -> Fake:
    """A model that keeps from those who kept from the good; a stern one also from those who gave to the bad."""

    def text(prompt: Prompt) -> str:
        recipient, partner = [*acts(prompt), 1.0, 1.0][:2]
        is_bad = recipient < 0.5 <= partner or (stern and recipient >= 0.5 > partner)
        noise = Random(prompt.model_dump_json()).choice([-1, 0, 1])
        return f"Answer: {(bad if is_bad else good) + noise}%"

    return Fake(text=text)


# --- what is read from the answers ---------------------------------------------------------------------------------


def test_a_discriminator_steps_at_its_threshold_whatever_the_partner_did(tmp_path: Path) -> None:
    found = scripted(tmp_path, "discriminator", player={"threshold": 0.5, "share": 0.8})
    [row] = found.summary.to_dict("records")
    assert (row["norm"], row["threshold"]) == ("image scoring", 0.5) and row["distance"] == pytest.approx(0)
    assert (row["low_level"], row["high_level"], row["to_unknown"]) == pytest.approx((0, 0.8, 0.8))
    # Least squares on 0, 0, .8, .8, .8 at 0, .25, .5, .75, 1.
    assert row["slope"] == row["slope_low"] == pytest.approx(0.96)
    assert row["partner_if_kept"] == pytest.approx(0) and row["partner_if_gave"] == pytest.approx(0)
    step = found.surface.groupby("level")["mean"].mean()
    assert step.round(9).tolist() == [0, 0, 0.8, 0.8, 0.8]


@pytest.mark.parametrize(("model", "level"), [("all-give", 1), ("all-keep", 0), ("constant-share", 0.5)])
def test_who_treats_all_alike_is_unconditional_and_flat(tmp_path: Path, model: str, level: float) -> None:
    [row] = scripted(tmp_path, model).summary.to_dict("records")
    assert (row["norm"], row["distance"], row["high_level"]) == ("unconditional", 0, level)
    assert row["slope"] == pytest.approx(0) and row["support"] == 1


def test_chance_alone_is_not_taken_for_a_rule(tmp_path: Path) -> None:
    [row] = scripted(tmp_path, "random").summary.to_dict("records")
    assert row["norm"] == "unconditional" and row["slope_low"] < 0 < row["slope_high"]


@pytest.mark.parametrize("model", ["proportional", "raise-the-stakes"])
def test_graded_giving_is_no_norm(tmp_path: Path, model: str) -> None:
    [row] = scripted(tmp_path, model).summary.to_dict("records")
    assert (row["norm"], row["is_norm"]) == ("graded", False)


@pytest.mark.parametrize(
    ("stern", "norm", "also"), [(False, "simple standing", "L3"), (True, "stern judging", "judging (L8)")]
)
def test_the_nearest_rule_depends_on_whom_the_recipient_kept_from_and_gave_to(
    tmp_path: Path, stern: bool, norm: str, also: str
) -> None:
    found = load_probe(asked(tmp_path, judge(good=60, bad=10, stern=stern)).folder)
    [row] = found.summary.to_dict("records")
    assert row["norm"] == norm and also in row["ties"] and row["threshold"] == 0.5
    assert row["distance"] < 0.03 and row["support"] > 0.95
    assert row["low_level"] == pytest.approx(0.1, abs=0.02) and row["high_level"] == pytest.approx(0.6, abs=0.02)
    assert row["kept_bad"] - row["kept_good"] == pytest.approx(0.5, abs=0.05)
    assert row["gave_good"] - row["gave_bad"] == pytest.approx(0.5 if stern else 0, abs=0.05)
    assert row["partner_if_kept_high"] < 0
    assert (row["partner_if_gave_low"] > 0.1) is stern
    assert found.norms["norm"].iloc[0] == norm and set(found.norms["norm"]) >= {"unconditional", "shunning"}


def test_how_rich_a_donor_is_shifts_the_level_and_not_the_rule(tmp_path: Path) -> None:
    def text(prompt: Prompt) -> str:
        is_rich = "hold 100 units" in prompt.messages[-1].content
        share = 0.5 if (acts(prompt) or [1.0])[0] >= 0.5 else 0.1
        return f"Answer: {share / (2 if is_rich else 1):.0%}"

    [row] = load_probe(asked(tmp_path, Fake(text=text)).folder).summary.to_dict("records")
    assert row["norm"] == "image scoring" and row["distance"] < 0.01
    assert row["resources_slope"] == pytest.approx(-0.17, abs=0.02)


def test_a_generation_is_read_agent_by_agent_and_as_one(tmp_path: Path) -> None:
    def text(prompt: Prompt) -> str:
        return "Answer: 100%" if "to be kind" in prompt.messages[-1].content else "Answer: 0"

    found = load_probe(asked(tmp_path, Fake(text=text), strategies=("to be kind", "to be mean")).folder)
    rows = found.summary.set_index("subject")
    assert rows["mean_fraction"].to_dict() == {ALL: 0.5, "text-1": 1, "text-2": 0}
    assert set(found.surface["subject"]) == {"text-1", "text-2"} and found.summary["norm"].eq("unconditional").all()


def test_there_is_no_interval_where_an_answer_stands_alone(tmp_path: Path) -> None:
    def text(prompt: Prompt) -> str:
        n_asked[0] += acts(prompt)[:2] == [0.5, 0.5]
        return "no" if acts(prompt)[:2] == [0.5, 0.5] and n_asked[0] > 1 else f"Answer: {len(prompt.messages)}%"

    n_asked = [0]
    rules = scenario(on_invalid={"attempts": 1})
    found = load_probe(asked(tmp_path, Fake(text=text), rules, n=2).folder)
    [row] = found.summary.to_dict("records")
    assert row["n_missing"] == 3 and row["slope"] is not None
    missing = found.summary[["slope_low", "slope_high", "support"]]
    assert missing.isna().all(axis=None) and found.summary["slope"].notna().all()
    assert found.summary["partner_if_kept_low"].notna().all()  # those answers are all there, twice


# --- what is asked -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("observation", "n_situations", "levels"),
    [
        ({"kind": "trace", "depth": 3}, 5 * 3 * 2 + 1, [0, 0.25, 0.5, 0.75, 1]),
        ({"kind": "trace", "depth": 1}, 5 * 2 + 1, [0, 0.25, 0.5, 0.75, 1]),
        ({"kind": "history", "depth": 3}, 5 * 2 + 1, [0, 0.25, 0.5, 0.75, 1]),
        ({"kind": "image_score"}, 7 * 2, [0, 0.2, 0.4, 0.5, 0.6, 0.8, 1]),
        ({"kind": "standing"}, 2 * 2, [0, 1]),
        ({"kind": "none"}, 2, []),
        ({"kind": "trace", "depth": 0}, 2, []),
    ],
)
def test_the_grid_is_over_what_the_observation_rule_shows(
    tmp_path: Path, observation: dict[str, Any], n_situations: int, levels: list[float]
) -> None:
    found = scripted(tmp_path, "discriminator", observation=observation)
    assert len(found.surface) == n_situations
    assert sorted(found.surface["level"].dropna().unique()) == levels
    [row] = found.summary.to_dict("records")
    discriminating = "discriminating" if observation["kind"] == "standing" else "image scoring"
    assert row["norm"] == (discriminating if levels else "unconditional") and row["distance"] == pytest.approx(0)
    for path in save(response(found), tmp_path / "response"):
        assert path.stat().st_size


def test_a_situation_is_shown_as_in_a_game_and_strategies_are_quoted() -> None:
    rules = scenario()
    situation = next(each for each in grid(rules) if (each.record, each.partner) == (0.25, 1.0))
    subject = Subject(name="3_2", strategy=HOSTILE[:1000], generation=3)
    asked = request(subject, situation, 7, rules=rules)
    assert asked.key == "probe/3_2/r25-p100-u10/07" and asked.agent == "3_2"
    view = asked.view
    assert isinstance(view, DecisionView) and view.recipient_resources == view.resources == 10
    names = [view.name, view.recipient, view.trace[0].recipient, view.trace[1].recipient]
    assert len(set(names)) == 4 and view.trace[1].donor == view.trace[0].recipient
    text = load_prompt_set("default").messages(asked)[1].content
    assert "It is round 3." in text and "\x1b" not in text and '\\"' in text
    assert f"- Round 2: {names[1]} gave 25% of its units to {names[2]}." in text
    assert f"- Round 1: {names[2]} gave 100% of its units to {names[3]}." in text


def test_a_first_round_shows_that_nothing_is_known() -> None:
    rules = scenario()
    asked = request(Subject(name="text-1", strategy="to give"), grid(rules)[-1], 1, rules=rules)
    text = load_prompt_set("default").messages(asked)[1].content
    assert "It is round 1." in text and "Nothing is known" in text


def test_a_game_that_is_too_short_is_refused() -> None:
    with pytest.raises(ScenarioError, match="games have 2 rounds"):
        grid(scenario(game={"kind": "donor", "rounds": 2}))


def test_the_plan_is_what_is_asked(tmp_path: Path) -> None:
    rules, fake = scenario(), Fake(text=lambda prompt: strategy_or("Answer: 1", prompt))
    design = design_of(rules, n=1, children=3, background=("all-give", "all-keep"), societies=2)
    foreseen = plan(rules, design)
    result = probe(rules, design, results=tmp_path, provider=fake)
    # Each of one parent and three children: 31 situations, and 12 decisions in each of two societies.
    assert result.is_complete and fake.n_calls == foreseen.n_questions == 3 + 4 * (31 + 2 * 12)
    assert foreseen.usd is None and foreseen.calls.low == fake.n_calls


# --- no answer is lost, paid twice, or made up ---------------------------------------------------------------------


def test_an_unreadable_answer_is_asked_again_and_then_missing_never_zero(tmp_path: Path) -> None:
    def text(prompt: Prompt) -> str:
        return "I would rather not." if acts(prompt)[:1] == [0.5] else "Answer: 40%"

    result = asked(tmp_path, fake := Fake(text=text), scenario(on_invalid={"attempts": 2, "then": "zero"}))
    found = load_probe(result.folder)
    assert fake.n_calls == 31 * 4 + 6 * 4
    bad = found.answers[found.answers["record"] == 0.5]
    assert bad["given"].isna().all() and (bad["act"] == "missing").all() and (bad["attempts"] == 2).all()
    assert set(bad["problem"]) == {"unreadable"}
    [row] = found.summary.to_dict("records")
    assert (row["n"], row["n_missing"]) == (100, 24) and row["mean_fraction"] == pytest.approx(0.4)
    assert found.surface.set_index("situation").loc["r50-p0-u10", "n_missing"] == 4
    assert found.surface["mean"].isna().sum() == 6
    [axes] = response(found).axes
    assert "24 of 124 answers unread" in axes.get_title()


def test_without_any_readable_answer_nothing_is_concluded(tmp_path: Path) -> None:
    result = asked(tmp_path, Fake(text=lambda _: "no"), scenario(on_invalid={"stop_after": None}))
    found = load_probe(result.folder)
    [row] = found.summary.to_dict("records")
    assert row["n"] == 0 and row["n_missing"] == 124
    assert found.summary[["mean_fraction", "slope", "norm", "distance"]].isna().all(axis=None)
    assert list(probe_tables(found))
    with pytest.raises(LogError, match="nothing to draw"):
        response(found)


def test_a_mute_model_stops_the_probe_as_it_stops_a_run(tmp_path: Path) -> None:
    [state] = asked(tmp_path, fake := Fake(text=lambda _: "no"), scenario(on_invalid={"stop_after": 5})).runs
    assert state.status == "stopped" and "to 5 questions in a row" in str(state.reason) and fake.n_calls < 400


def test_a_probe_cut_anywhere_goes_on_to_the_same_facts_and_asks_nothing_twice(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"n": 1, "children": 2, "background": ("all-keep", "discriminator")}
    whole_result = asked(tmp_path / "whole", Fake(), **changes)
    whole = read_log(whole_result.folder / "probe").records
    assert isinstance(whole[0], RunStarted) and isinstance(whole[-1], RunFinished)
    [replayed] = agentsim.replay(whole_result.folder)
    assert replayed.is_exact and replayed.is_complete
    data = (whole_result.folder / "probe" / "log.jsonl").read_bytes()
    rng = Random(0)
    for number, offset in enumerate([0, len(data) - 1, *(rng.randrange(len(data)) for _ in range(12))]):
        folder = tmp_path / str(number) / "probed" / "probe"
        folder.mkdir(parents=True)
        (folder / "log.jsonl").write_bytes(data[:offset])
        stored = said(read_log(folder).records)
        result = asked(tmp_path / str(number), fake := Fake(), **changes)
        records = read_log(folder).records
        assert result.is_complete and facts(records) == facts(whole) and said(records) == said(whole)
        assert fake.n_calls == len(said(whole)) - len(stored)


def test_a_failed_call_stops_the_probe_and_the_same_command_goes_on(tmp_path: Path) -> None:
    [state] = asked(tmp_path, first := Fake(fail_at=20)).runs
    assert (state.status, state.reason) == ("stopped", "the fake is out of order")
    n_stored = sum(isinstance(record, Reply) for record in read_log(tmp_path / "probed" / "probe").records)
    assert n_stored >= 19 and not load_probe(tmp_path / "probed").is_complete and first.n_calls >= 20
    result = asked(tmp_path, fake := Fake())
    assert result.is_complete and fake.n_calls == result.runs[0].n_replies - n_stored
    assert asked(tmp_path, fake := Fake()).is_complete and fake.n_calls == 0


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"n": 5}, "probe.n was '4' and is '5'"),
        ({"strategies": ("to keep",)}, "probe.subjects.0.strategy was 'to give' and is 'to keep'"),
        ({"background": ("all-give",)}, "probe.background was '[]' and is"),
        ({"rules": {"observation": {"kind": "standing"}}}, "observation"),
        ({"rules": {"seeds": [4]}}, "seed was '0' and is '4'"),
    ],
)
def test_a_changed_design_is_refused_with_the_difference(
    tmp_path: Path, change: dict[str, Any], difference: str
) -> None:
    asked(tmp_path, Fake())
    rules = scenario(**change.pop("rules", {}))
    with pytest.raises(ReplayMismatch, match=re.escape(difference)) as refused:
        asked(tmp_path, fake := Fake(), rules, **change)
    assert fake.n_calls == 0 and str(refused.value).endswith("undo that change; or run with --new to begin probed-2")
    fresh = probe(rules, design_of(rules, **change), results=tmp_path, provider=Fake(), new=True)
    assert fresh.is_complete and fresh.folder.name == "probed-2"
    again = asked(tmp_path, fake := Fake(), rules, **change)  # goes on with the newest, which is complete
    assert again.folder == fresh.folder and fake.n_calls == 0


def test_an_edited_reply_is_found_by_replay(tmp_path: Path) -> None:
    folder = asked(tmp_path, Fake()).folder
    path = folder / "probe" / "log.jsonl"
    path.write_text(path.read_text().replace("Answer: 1", "Answer: 9", 1))
    [state] = agentsim.replay(folder)
    assert not state.is_exact


def test_a_paid_probe_needs_a_key_and_asks_nothing_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    rules = scenario(players={"model": "openai/gpt-4o-2024-08-06"})
    with pytest.raises(AuthError):
        probe(rules, design_of(rules), results=tmp_path)
    assert not (tmp_path / "probed").exists()


def test_a_study_is_not_mixed_with_a_probe(tmp_path: Path) -> None:
    small = agentsim.scenario_from({**SMALL, "name": "probed"})
    agentsim.run(small, results=tmp_path, provider=Fake())
    with pytest.raises(ScenarioError, match="--name"):
        asked(tmp_path, Fake())
    probe(scenario(name="other"), design_of(scenario()), results=tmp_path, provider=Fake())
    assert list(agentsim.load(str(tmp_path / "*")).folders) == ["probed"]
    with pytest.raises(LogError, match="is a probe"):
        agentsim.load(tmp_path / "other")
    with pytest.raises(LogError, match="no probe"):
        load_probe(tmp_path / "probed")


# --- children ------------------------------------------------------------------------------------------------------


def strategy_or(decision: str, prompt: Prompt) -> str:
    if "My strategy will be" in prompt.messages[-1].content:
        return "My strategy will be to keep."
    return decision


def test_children_that_give_less_than_their_parents_show_as_a_shift(tmp_path: Path) -> None:
    calls: list[Prompt] = []

    def text(prompt: Prompt) -> str:
        calls.append(prompt)
        last = prompt.messages[-1].content
        if "My strategy will be" in last:
            assert "to give well" in last and "to give more" in last
            return f"My strategy will be to give {20 + len(calls) % 3}."
        own = re.search(r"to give (\w+)", prompt.messages[1].content)
        assert own is not None
        share = {"well": 50, "more": 70}.get(own[1]) or int(own[1])
        return f"Answer: {share}%"

    found = load_probe(
        asked(
            tmp_path,
            Fake(text=text),
            n=1,
            strategies=("to give well", "to give more"),
            children=6,
            background=("discriminator", "constant-share"),
        ).folder
    )
    shift = found.shift.set_index("measure")
    given = shift.loc["mean_fraction"]
    assert given["parents"] == pytest.approx(0.6) and given["children"] == pytest.approx(0.21, abs=0.01)
    assert given["low"] < given["shift"] < given["high"] < -0.3
    assert (given["n_parents"], given["n_children"], given["n_without"]) == (2, 6, 0)
    scores = found.scores.set_index("subject")["score"]
    assert shift.loc["score", "parents"] == pytest.approx(scores[["text-1", "text-2"]].mean())
    assert len(scores) == 8 and found.scores["n_missed"].sum() == 0 and (found.scores["n_decisions"] == 12).all()
    assert list(found.subjects["parents"].dropna()) != [] and list(probe_tables(found))


def test_a_child_without_a_readable_strategy_is_missing(tmp_path: Path) -> None:
    def text(prompt: Prompt) -> str:
        if "My strategy will be" in prompt.messages[1].content:
            name = re.search(r"agent (\w+),", prompt.messages[1].content)
            return "no" if name and name[1].endswith("_2") else "My strategy will be to keep."
        return "Answer: 10%"

    found = load_probe(asked(tmp_path, Fake(text=text), n=0, children=4, background=("all-keep",)).folder)
    children = found.subjects[found.subjects["role"] == "child"].set_index("subject")
    assert children["strategy"].isna().to_dict()["child-02"] and children.loc["child-02", "problem"] == "unreadable"
    score = found.shift.set_index("measure").loc["score"]
    assert (score["n_children"], score["n_without"]) == (3, 1)
    assert "all children are equal" in score["problem"]
    assert set(found.scores["subject"]) == {"text-1", "child-01", "child-03", "child-04"}


def test_a_scored_policy_earns_what_it_earns_in_a_society_of_its_own(tmp_path: Path) -> None:
    rules = scenario(players={"model": "scripted/constant-share"})
    one = Design(
        source="a test",
        subjects=(Subject(name="constant-share", strategy=None),),
        n=0,
        background=("constant-share",),
        societies=3,
    )
    found = load_probe(probe(rules, one, results=tmp_path).folder)
    # Everyone gives half, alternating: 393.9 on average; the two games swap roles.
    assert found.scores["score"].mean() == pytest.approx(393.9, rel=0.01) and len(found.scores) == 3


# --- from a run, and from files ------------------------------------------------------------------------------------


def test_tables_and_figures_show_foreign_words_as_text_and_are_the_same_twice(tmp_path: Path) -> None:
    found = load_probe(asked(tmp_path, Fake(text=lambda _: "Answer: 40%"), strategies=(HOSTILE[:900],)).folder)
    paths = write_probe(found, tmp_path)
    assert {path.name for path in paths} == {"answers.csv", "surface.csv", "summary.csv", "norms.csv", "subjects.csv"}
    assert all("\x1b" not in path.read_text() for path in paths)
    first = [path.read_bytes() for path in save(response(found), tmp_path / "one")]
    assert first == [path.read_bytes() for path in save(response(found), tmp_path / "two")]
    assert json.loads((found.folder / "probe.json").read_text())["n"] == 4


def test_the_answers_do_not_depend_on_the_order_in_which_they_came(tmp_path: Path) -> None:
    one = load_probe(asked(tmp_path / "1", Fake()).folder)
    other = load_probe(asked(tmp_path / "2", Fake()).folder)
    assert one.answers.equals(other.answers) and one.summary.equals(other.summary)
    assert one.answers["repetition"].max() == 4
