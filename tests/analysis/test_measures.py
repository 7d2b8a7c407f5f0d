"""Measures against societies whose answer is known, and against numbers worked out by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import agentsim
from agentsim.analysis import measures
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures.outcomes import constant_share_means
from agentsim.analysis.published import MAXIMUM, curves
from agentsim.cli.tables.study import study_tables
from agentsim.providers.base import Prompt
from tests.orchestrator.test_study import Fake, play

SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"


@pytest.fixture(scope="module")
def baselines(tmp_path_factory: pytest.TempPathFactory) -> Study:
    scenario = agentsim.load_scenario(SCENARIOS / "scripted-baselines.yaml", sets=["generations=3"], seeds="0-1")
    return agentsim.load(agentsim.run(scenario, results=tmp_path_factory.mktemp("results")).folder)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The schedule of the published notebook, in which roles do not alternate."""
    sets = ["generations=1", "pairing.kind=released", "players={model: scripted/constant-share, share: 0.4}"]
    scenario = agentsim.load_scenario(SCENARIOS / "donor-game.yaml", sets=sets, seeds="0-2")
    return agentsim.load(agentsim.run(scenario, results=tmp_path_factory.mktemp("results")).folder)


def of(frame: pd.DataFrame, condition: str) -> pd.DataFrame:
    return frame[frame["run"].str.startswith(condition)]


def test_efficiency_of_the_extremes(baselines: Study) -> None:
    found = measures.efficiency(baselines.generations, baselines.runs)
    assert (of(found, "all-give")["efficiency"] == 1).all()
    assert (of(found, "all-keep")["efficiency"] == 0).all()
    # closed form: 393.90625 of at most 30,720 units from 10
    half = of(found, "constant-share--share-0.5")["efficiency"]
    assert half.tolist() == pytest.approx([np.log(39.390625) / np.log(3072)] * len(half))


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_the_implied_share_of_a_constant_share_is_that_share(baselines: Study, share: float) -> None:
    found = measures.implied_share(baselines.generations, baselines.encounters, baselines.started)
    own = of(found, f"constant-share--share-{share}")["implied_share"]
    assert len(own) == 6 and own.tolist() == pytest.approx([share] * 6, abs=2e-6)


def test_the_implied_share_holds_for_any_schedule(released: Study) -> None:
    found = measures.implied_share(released.generations, released.encounters, released.started)
    assert found["implied_share"].tolist() == pytest.approx([0.4] * 3, abs=2e-6)


def test_a_constant_share_played_again_is_what_was_played(baselines: Study) -> None:
    own = of(baselines.encounters, "all-give--seed-0")
    last = own[own["generation"] == 3]
    means = constant_share_means(last, [0, 0.5, 1], endowment=10, multiplier=2)
    assert means.tolist() == pytest.approx([10, 393.90625, 30720])


def test_no_share_gives_a_score_below_the_endowment(baselines: Study) -> None:
    generations = baselines.generations.assign(mean_final_resources=5.0)
    found = measures.implied_share(generations, baselines.encounters, baselines.started)
    assert found["implied_share"].isna().all()
    assert set(found["problem"]) == {"no share gives this score"}


def test_where_several_shares_give_a_score_none_is_picked() -> None:
    rows = [(1, "a", "b", "give", 0.5), (2, "a", "c", "give", 0.5), (3, "c", "d", "give", 0.5)]
    game = encounters([*rows, (4, "d", "e", "give", 0.5), (5, "e", "f", "give", 0.5)])
    shares = np.linspace(0, 1, 201)
    means = constant_share_means(game, shares, endowment=10, multiplier=8)
    peak = int(means.argmax())
    assert 0 < peak < 200  # a's units are worth more with c, who passes them on, than with b, who is met first
    started = {("s", "r"): SimpleNamespace(condition={"game": {"endowment": 10, "multiplier": 8}})}

    def implied(score: float) -> pd.Series:
        frame = pd.DataFrame({"study": ["s"], "run": ["r"], "generation": [1], "mean_final_resources": [score]})
        return measures.implied_share(frame, game, started).iloc[0]  # type: ignore[arg-type]

    twice = implied((means[peak] + means[-1]) / 2)
    assert pd.isna(twice["implied_share"]) and twice["problem"].startswith("several shares give this score: 0.")
    once = implied(float(means[40]))
    assert once["implied_share"] == pytest.approx(shares[40], abs=2e-6) and pd.isna(once["problem"])
    assert implied(means[peak] * 1.1)["problem"] == "no share gives this score"


def test_mean_fraction_is_that_of_the_frames(baselines: Study) -> None:
    found = measures.mean_fraction(baselines.encounters)
    assert found["mean_fraction"].tolist() == pytest.approx(baselines.generations["mean_fraction"].tolist())


def encounters(rows: list[tuple[int, str, str, str, float | None]]) -> pd.DataFrame:
    """Rounds of one game: round, donor, recipient, act, fraction."""
    frame = pd.DataFrame(rows, columns=["round", "donor", "recipient", "act", "fraction"])
    frame = frame.astype({"donor": "string", "recipient": "string", "act": "string", "fraction": "Float64"})
    frame["replaced_by"] = pd.Series([pd.NA] * len(frame), dtype="string")
    return frame.assign(study="s", run="r", generation=1, game=1)


def test_records_are_what_a_trace_would_show() -> None:
    found = measures.with_records(
        encounters(
            [
                (1, "a", "b", "give", 0.1),
                (1, "c", "d", "give", 0.9),
                (2, "b", "c", "give", 0.4),  # c gave 0.9 to d, who had no record
                (2, "d", "a", "punish", 0.5),
                (3, "a", "b", "give", 0.2),  # b gave 0.4 to c, whose record was 0.9
                (3, "c", "d", "missing", None),  # d punished: no gift
                (4, "b", "c", "give", 0.3),  # c's last decision could not be read
            ]
        )
    )
    assert found["recipient_record"].fillna(-1).tolist() == [-1, -1, 0.9, 0.1, 0.4, -1, -1]
    assert found["partner_record"].fillna(-1).tolist() == [-1, -1, -1, -1, 0.9, 0.1, -1]
    assert found["own_fraction"].fillna(-1).tolist() == [0.1, 0.9, 0.4, -1, 0.2, -1, 0.3]


def test_a_study_without_any_encounter_has_no_records(tmp_path: Path) -> None:
    result = play(tmp_path, Fake(fail_at=1), seeds=[0])
    found = measures.with_records(agentsim.load(result.folder).encounters)
    assert found.empty and {"own_fraction", "recipient_record", "partner_record"} <= set(found)
    assert measures.giving_by_record(found).empty


def reciprocators(rule: str, *, n_rounds: int = 60) -> pd.DataFrame:
    """Six agents who give by a rule of their recipient's record, in random pairs, with random first gifts."""
    rng = np.random.default_rng(3)
    last: dict[str, tuple[float, float | None]] = {}
    rows: list[tuple[int, str, str, str, float | None]] = []
    for round_ in range(1, n_rounds + 1):
        names = [f"a{index}" for index in rng.permutation(6)]
        met = []
        for donor, recipient in zip(names[::2], names[1::2], strict=True):
            record, partner = last.get(recipient, (None, None))
            fraction = float(rng.random())
            if rule == "reciprocal" and record is not None and rng.random() < 0.7:
                fraction = 0.2 + 0.5 * record
            if rule == "reciprocal" and record is not None:
                fraction = 0.2 + 0.5 * record + 0.2 * (float(rng.random()) - 0.5)
            if rule == "standing" and record is not None and partner is not None:
                fraction = 0.5 + 0.4 * (record - 0.5) * partner + 0.3 * (float(rng.random()) - 0.5)
            met.append((donor, (fraction, record)))
            rows.append((round_, donor, recipient, "give", fraction))
        last.update(met)
    return encounters(rows)


def test_the_slope_of_reciprocators_is_theirs() -> None:
    found = measures.conditional_slope(reciprocators("reciprocal"))
    assert found["slope"].iloc[0] == pytest.approx(0.5, abs=0.15)
    assert abs(measures.conditional_slope(reciprocators("none"))["slope"].iloc[0]) < 0.2


def test_second_order_discrimination_needs_the_partner() -> None:
    standing = measures.discrimination(reciprocators("standing", n_rounds=400)).iloc[0]
    first = measures.discrimination(reciprocators("reciprocal", n_rounds=400)).iloc[0]
    assert standing["second_order"] == pytest.approx(0.4, abs=0.15)
    assert first["first_order"] == pytest.approx(0.5, abs=0.1)
    assert abs(first["second_order"]) < 0.15


def test_what_cannot_be_told_is_missing(baselines: Study) -> None:
    few = encounters([(1, "a", "b", "give", 0.1), (2, "b", "a", "give", 0.2)])
    assert measures.conditional_slope(few)["slope"].isna().all()
    assert of(measures.conditional_slope(baselines.encounters), "all-give")["slope"].isna().all()  # all records alike


def test_giving_by_record_in_bins() -> None:
    rows: list[tuple[int, str, str, str, float | None]] = [
        (1, "a", "b", "give", 1.0),
        (2, "b", "a", "give", 0.0),
        (3, "a", "b", "give", 0.6),
        (4, "b", "a", "give", 0.2),
    ]
    found = measures.giving_by_record(encounters(rows))
    assert found[["record_low", "mean_fraction", "n_gifts"]].round(9).values.tolist() == [
        [0.0, 0.6, 1],
        [0.4, 0.2, 1],
        [0.8, 0.0, 1],
    ]


def test_punishment_and_its_targets() -> None:
    frame = encounters(
        [
            (1, "a", "b", "give", 0.1),
            (1, "c", "d", "give", 0.9),
            (2, "b", "a", "punish", 0.5),
            (2, "d", "c", "give", 0.5),
        ]
    ).assign(amount=[1.0, 9.0, 2.0, 4.0], removed=[0.0, 0.0, 4.0, 0.0])
    row = measures.punishment(frame).iloc[0]
    assert (row["n_punished"], row["rate"], row["spent"], row["removed"]) == (1, 0.25, 2.0, 4.0)
    targets = measures.punishment_targets(frame).set_index("target")
    assert targets["n_punished"].to_dict() == {"giver": 0, "miser": 1, "no record": 0}
    assert targets["rate"].to_dict() == {"giver": 0.0, "miser": 1.0, "no record": 0.0}


def test_gini_at_its_ends() -> None:
    rows = [("a", 1, 5.0), ("b", 1, 5.0), ("a", 2, 0.0), ("b", 2, 10.0)]
    frame = pd.DataFrame(rows, columns=["agent", "generation", "resources"]).assign(study="s", run="r", game=1)
    assert measures.gini(frame)["gini"].tolist() == [0.0, 0.5]
    assert measures.gini(frame.assign(resources=0.0))["gini"].isna().all()


def generations(scores: list[float], fractions: list[float]) -> pd.DataFrame:
    frame = pd.DataFrame({"mean_final_resources": scores, "mean_fraction": fractions}, dtype="Float64")
    return frame.assign(study="s", run="r", generation=range(1, len(scores) + 1))


RUN = pd.DataFrame({"study": ["s"], "run": ["r"], "endowment": [10.0], "game": ["donor"], "gift": ["share"]})


def risen(scores: list[float], **changes: float) -> pd.Series:
    frame = generations(scores, [0.4] * len(scores)).assign(maximum=changes.pop("maximum", 1000.0))
    return measures.take_off(frame.assign(minimum=10.0), RUN, **changes).iloc[0]


def test_take_off_says_when_and_from_where() -> None:
    row = risen([10, 20, 500, 400])  # efficiencies 0, 0.15, 0.85, 0.80
    assert (row["took_off"], row["generation"], row["first_fraction"], row["followed"]) == (True, 3, 0.4, 4)
    assert row["efficiency"] == pytest.approx(np.log(40) / np.log(100))
    fell = risen([10, 500, 30])
    assert not fell["took_off"] and pd.isna(fell["generation"])
    assert not risen([5, 0])["took_off"] and pd.isna(risen([5, 0])["efficiency"])


def test_a_run_at_the_ceiling_from_the_start_took_off_and_growth_from_little_did_not() -> None:
    ceiling = risen([1000, 1000])
    assert (ceiling["took_off"], ceiling["generation"]) == (True, 1)
    assert not risen([1, 20])["took_off"]  # twenty times as much, and next to nothing


def test_the_threshold_of_a_take_off_is_a_setting_and_where_nothing_can_be_gained_there_is_none() -> None:
    assert risen([10, 100], threshold=0.5)["took_off"] and not risen([10, 100], threshold=0.51)["took_off"]
    assert pd.isna(risen([10, 10], maximum=10.0)["took_off"])
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        risen([10, 100], threshold=4.0)


def test_the_published_runs_take_off_by_efficiency_as_the_docs_say() -> None:
    own = curves()
    kinds = own["model"].str.split("-").str[0] + own["punishment"].map({True: "+", False: ""}).astype("string")
    frame = own.assign(study="s", run=kinds + " " + own["run"].astype("string"), maximum=MAXIMUM, minimum=10.0)
    frame["mean_fraction"] = pd.array([pd.NA] * len(frame), dtype="Float64")
    runs = frame[["study", "run"]].drop_duplicates().assign(endowment=10.0, game="donor", gift="share")
    found = measures.take_off(frame, runs)
    groups = found["run"].str.split(" ").str[0]
    assert found.groupby(groups)["took_off"].sum().to_dict() == {
        "claude": 3, "claude+": 4, "gemini": 0, "gemini+": 0, "gpt": 0, "gpt+": 0
    }  # fmt: skip
    counts = measures.take_off_sensitivity(found, groups).set_index(["group", "threshold"])["n_took_off"]
    assert counts["claude"].tolist() == [5, 3, 3, 2, 0] and counts["claude+"].tolist() == [5, 4, 4, 4, 2]
    growth = found[groups == "claude"]["last"] / found[groups == "claude"]["first"]
    assert [int((growth >= factor).sum()) for factor in (2, 4, 5)] == [5, 3, 2]  # a factor decides by itself


def test_collapse_is_when_giving_stays_away() -> None:
    row = measures.collapse(generations([9, 9, 9, 9], [0.05, 0.3, 0.1, 0.0])).iloc[0]
    assert (row["collapsed"], row["generation"]) == (True, 3)
    alive = measures.collapse(generations([9, 9], [0.0, 0.2])).iloc[0]
    assert alive["collapsed"] == False and pd.isna(alive["generation"])  # noqa: E712 - numpy's


AGENTS = pd.DataFrame(
    [
        ("1_1", 1, 1, 0.8, True, None),
        ("1_2", 1, 1, 0.6, True, None),
        ("1_3", 1, 1, 0.2, False, None),
        ("1_4", 1, 1, 0.0, False, None),
        ("1_1", 2, 1, 0.9, None, None),
        ("1_2", 2, 1, 0.5, None, None),
        ("2_1", 2, 2, 0.7, None, "1_1 1_2"),
        ("2_2", 2, 2, 0.3, None, "1_1"),
    ],
    columns=["agent", "generation", "born", "mean_fraction", "survived", "parents"],
).assign(study="s", run="r", model="m/x", strategy="give  two words")
AGENTS = AGENTS.astype({"survived": "boolean", "mean_fraction": "Float64"})


def test_the_price_equation_by_hand() -> None:
    row = measures.price_equation(AGENTS).iloc[0]
    # fitness: 1_1: 1 + 1/2 + 1, 1_2: 1 + 1/2; means 0.4 -> 0.6
    assert row["selection"] == pytest.approx((2.5 * 0.8 + 1.5 * 0.6) / 4 - 0.4)
    assert row["survivors_change"] == pytest.approx((0.1 - 0.1) / 4)
    assert row["newborns_change"] == pytest.approx(((0.7 - 0.7) + (0.3 - 0.8)) / 4)
    assert row["change"] == pytest.approx(0.2)
    assert row["selection"] + row["transmission"] == pytest.approx(row["change"])


def test_groups_are_summed_up() -> None:
    groups = AGENTS["agent"].map({"1_1": 1, "1_3": 1, "1_2": 2, "1_4": 2, "2_1": 1, "2_2": 2}).astype("Int64")
    known = AGENTS.assign(group=groups, score=[4.0, 3.0, 2.0, 1.0] * 2, mean_level=AGENTS["mean_fraction"])
    found = measures.by_group(known).set_index(["generation", "group"])
    assert found["score"].tolist() == [3.0, 2.0, 3.0, 2.0] and set(found["n_agents"]) == {2}
    assert found["mean_fraction"].tolist() == pytest.approx([0.5, 0.3, 0.8, 0.4])
    assert found["n_survivors"].tolist() == [1, 1, pd.NA, pd.NA]


def test_the_price_equation_of_groups_by_hand() -> None:
    groups = AGENTS["agent"].map({"1_1": 1, "1_3": 1, "1_2": 2, "1_4": 2, "2_1": 1, "2_2": 2}).astype("Int64")
    row = measures.price_equation_of_groups(AGENTS.assign(group=groups)).iloc[0]
    # fitness of group 1: 2.5, of group 2: 1.5; their means 0.5 and 0.3
    assert row["between"] == pytest.approx((2.5 * 0.5 + 1.5 * 0.3) / 4 - 0.4)
    # within group 1: 2.5 * (0.8 - 0.5); within group 2: 1.5 * (0.6 - 0.3)
    assert row["within"] == pytest.approx((2.5 * 0.3 + 1.5 * 0.3) / 4)
    assert row["between"] + row["within"] == pytest.approx(row["selection"])
    assert len(measures.price_equation_of_groups(AGENTS.assign(group=pd.array([pd.NA] * 8, dtype="Int64")))) == 0


def test_the_parts_of_the_price_equation_sum_to_the_change(baselines: Study) -> None:
    found = measures.price_equation(baselines.agents)
    assert (found["selection"] + found["transmission"]).tolist() == pytest.approx(found["change"].tolist())
    assert of(found, "random")["change"].abs().max() > 0


def test_the_price_equation_says_why_it_is_missing() -> None:
    unknown = AGENTS.assign(mean_fraction=AGENTS["mean_fraction"].where(AGENTS["agent"] != "1_3"))
    assert measures.price_equation(unknown)["problem"].tolist() == ["mean_fraction is not known for 1 agents"]
    orphans = AGENTS.assign(parents=None)
    assert measures.price_equation(orphans)["problem"].tolist() == ["2_1 has no recorded parents"]


def test_the_survival_differential_and_strategy_length() -> None:
    found = measures.survival_differential(AGENTS)
    assert found["differential"].iloc[0] == pytest.approx(0.7 - 0.1)
    assert pd.isna(found["differential"].iloc[1]) and found["n_survivors"].tolist() == [2, 0]
    lengths = measures.strategy_length(AGENTS)
    assert lengths[["mean_words", "mean_characters", "n"]].values.tolist() == [[3, 15, 4], [3, 15, 2]]
    assert measures.survival_differential(AGENTS[AGENTS["generation"] == 2])["differential"].isna().all()


def test_variances_within_and_between_runs() -> None:
    two = pd.concat([AGENTS, AGENTS.assign(run="q", mean_fraction=AGENTS["mean_fraction"] + 0.1)])
    runs = pd.DataFrame({"study": ["s", "s"], "run": ["r", "q"], "condition": ["c", "c"]})
    row = measures.variances(two, runs).iloc[0]
    assert row["within"] == pytest.approx(np.var([0.8, 0.6, 0.2, 0.0], ddof=1))
    assert row["between"] == pytest.approx(np.var([0.4, 0.5], ddof=1))
    within, between = row["within"], 4 * row["between"]  # mean squares of runs of 4 agents
    assert row["icc"] == pytest.approx((between - within) / (between + 3 * within))
    assert pd.isna(measures.variances(AGENTS, runs)["between"]).all()


@pytest.mark.parametrize("sizes", [[8] * 400, [2, 14] * 200])
@pytest.mark.parametrize("icc", [0.0, 0.4])
def test_the_intraclass_correlation_is_that_which_was_planted(sizes: list[int], icc: float) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    trait = rng.normal(0, np.sqrt(icc), len(sizes))[labels] + rng.normal(0, np.sqrt(1 - icc), len(labels))
    agents = pd.DataFrame({"study": "s", "run": labels.astype(str), "generation": 1, "mean_fraction": trait})
    runs = pd.DataFrame({"study": "s", "run": np.unique(labels).astype(str), "condition": "c"})
    assert measures.variances(agents, runs)["icc"].iloc[0] == pytest.approx(icc, abs=0.06)


def test_the_summary_has_a_row_for_each_run(baselines: Study) -> None:
    found = agentsim.summary(baselines)
    assert found["run"].tolist() == baselines.runs["run"].tolist()
    keep = found[found["run"] == "all-keep--seed-0"].iloc[0]
    assert (keep["collapsed"], keep["collapsed_at"], keep["efficiency"], keep["gini"]) == (True, 1, 0, 0)


def test_measures_of_nothing_are_empty() -> None:
    from agentsim.analysis.frames.columns import COLUMNS
    from agentsim.analysis.frames.summaries import shaped

    frames = {name: shaped(name, []) for name in COLUMNS}
    for frame in frames.values():
        frame.insert(0, "study", pd.Series([], dtype="string"))
    empty = Study(folders={"s": Path("s")}, started={}, notes=(), further={}, **frames)
    assert agentsim.summary(empty).empty
    assert measures.giving_by_record(empty.encounters).empty and measures.punishment_targets(empty.encounters).empty
    assert measures.variances(empty.agents, empty.runs).empty and measures.mean_final_resources(empty.generations).empty


def test_punishment_by_condition_adds_up(tmp_path: Path) -> None:
    def text(prompt: Prompt) -> str:
        said = prompt.messages[-1].content
        if "decide which strategy" in said:
            return "My strategy will be to punish."
        return "Answer: punish 1" if "gave 10%" in said else "Answer: give 10%"

    game = {"kind": "donor", "rounds": 4, "punishment": {"cost": 1, "effect": 2}}
    study = agentsim.load(play(tmp_path, Fake(text=text), game=game).folder)
    [row] = measures.punishment_summary(study).to_dict("records")
    punished = study.encounters[study.encounters["act"] == "punish"]
    assert row["n_punished"] == len(punished) > 0 and row["n_decided"] == len(study.encounters)
    assert row["spent"] == punished["amount"].sum() and row["removed"] == punished["removed"].sum()
    assert row["rate_of_miser"] > 0 and pd.isna(row["rate_of_giver"])  # nobody gave half
    pairs = measures.who_punishes_whom(study.encounters)
    assert pairs["n_punished"].sum() == len(punished) and pairs["removed"].sum() == punished["removed"].sum()
    assert (pairs["donor"] != pairs["recipient"]).all() and (pairs["n_encounters"] >= pairs["n_punished"]).all()
    assert any(table.title is not None and "Punishment" in str(table.title) for table in study_tables(study))


def test_before_the_first_encounter_there_is_no_such_table(tmp_path: Path) -> None:
    game = {"kind": "donor", "rounds": 4, "punishment": {"cost": 1, "effect": 2}}
    study = agentsim.load(play(tmp_path, Fake(fail_at=1), game=game).folder)
    assert study.encounters.empty and measures.punishment_summary(study).empty
    assert list(study_tables(study))


def test_without_punishment_there_is_no_such_table(tmp_path: Path) -> None:
    study = agentsim.load(play(tmp_path, Fake()).folder)
    assert measures.punishment_summary(study).empty
    assert not any("Punishment" in str(table.title) for table in study_tables(study))


def test_where_nobody_decided_there_is_no_record_and_no_error(baselines: Study) -> None:
    nothing = measures.with_records(baselines.encounters.head(0))
    assert nothing.empty and {"own_fraction", "recipient_record", "partner_record"} <= set(nothing.columns)
    assert measures.giving_by_record(baselines.encounters.head(0)).empty


@pytest.mark.parametrize("side", [True, False])
def test_the_differential_is_missing_where_nothing_is_known_of_one_side(baselines: Study, side: bool) -> None:
    agents = baselines.agents.assign(
        mean_fraction=baselines.agents["mean_fraction"].mask(baselines.agents["survived"] == side)
    )
    found = measures.survival_differential(agents)
    assert found["differential"].isna().all() and (found["n_survivors" if side else "n_culled"] == 0).all()


def test_every_measure_has_a_row_in_the_docs_and_says_what_it_returns() -> None:
    page = (Path(agentsim.__file__).parent.parent / "docs" / "measures.md").read_text()
    for name in measures.__all__:
        assert f"`{name}`" in page or f"`agentsim.{name}" in page, name
        assert getattr(measures, name).__doc__, name


def test_every_measure_that_a_family_names_is_public() -> None:
    families = [import_module(f"{measures.__name__}.{module.name}") for module in iter_modules(measures.__path__)]
    named = {name for family in families for name in family.__all__ if callable(getattr(family, name))}
    assert set(measures.__all__) == named
