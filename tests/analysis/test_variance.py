"""The split of variance: equal to other people's numbers, true on data of known parts, and silent where it must be."""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import agentsim
from agentsim.errors import AgentsimError, LogError
from agentsim.providers.base import Prompt
from agentsim.testing import FunctionProvider
from tests.commands import run_command

ACCOUNT = {"fake": {"base_url": "http://127.0.0.1:9/v1"}}


def frame(values: npt.ArrayLike) -> pd.DataFrame:
    """Runs of prompts, models and seeds, (n_prompts, n_models, n_seeds)."""
    table = np.asarray(values, dtype=float)
    axes = [range(n) for n in table.shape]
    rows = [(f"p{p}", f"m{m}", s, table[p, m, s]) for p, m, s in product(*axes)]
    return pd.DataFrame(rows, columns=["prompts", "model", "seed", "mean_final_resources"])


def split(values: npt.ArrayLike) -> Any:
    return agentsim.measures.variance_split(frame(values), ["prompts", "model"], is_log=False).set_index("source")


OATS = {
    "Victory": "111 130 157 174  61 91 97 100  68 64 112 86  74 89 81 122  62 90 100 116  53 74 118 113",
    "Golden rain": "117 114 161 141  70 108 126 149  60 102 89 96  64 103 132 133  80 82 94 126  89 82 86 104",
    "Marvellous": "105 140 118 156  96 124 121 144  89 129 132 124  70 89 104 117  63 70 109 99  97 99 119 121",
}
"""Yields of oats by variety, block and nitrogen (Yates 1935; `oats` of R's package MASS)."""


def test_a_published_table_comes_out_as_published() -> None:
    """Venables & Ripley, Modern Applied Statistics with S, section 10.2; both of their strata of error are the rest."""
    values = np.array([[float(x) for x in own.split()] for own in OATS.values()]).reshape(3, 6, 4)
    found = split(values.transpose(0, 2, 1))
    assert found["df"].to_dict() == {"prompts": 2, "model": 3, "prompts × model": 6, "seed": 5, "rest": 10 + 45}
    published = {"prompts": 893.2, "model": 6673.0, "prompts × model": 54.0, "seed": 3175.0}
    assert found["mean_square"].drop("rest").to_dict() == pytest.approx(published, abs=0.6)
    assert found["sum_of_squares"]["rest"] == pytest.approx(6013 + 7969, abs=1)


def test_sums_of_squares_are_those_of_statsmodels() -> None:
    from statsmodels.formula.api import ols  # type: ignore[import-untyped]
    from statsmodels.stats.anova import anova_lm  # type: ignore[import-untyped]

    runs = frame(np.random.default_rng(3).lognormal(2, 1, (4, 3, 5)))
    model = ols("np.log(mean_final_resources) ~ C(prompts) * C(model) + C(seed)", data=runs).fit()
    theirs = anova_lm(model).rename(
        index={
            "C(prompts)": "prompts",
            "C(model)": "model",
            "C(prompts):C(model)": "prompts × model",
            "C(seed)": "seed",
            "Residual": "rest",
        }
    )
    own: Any = agentsim.measures.variance_split(runs, ["prompts", "model"]).set_index("source")
    for name in own.index:
        assert own["df"][name] == theirs["df"][name]
        assert own["sum_of_squares"][name] == pytest.approx(theirs["sum_sq"][name])
        assert own["mean_square"][name] == pytest.approx(theirs["mean_sq"][name])
    n, error = len(runs), theirs["mean_sq"]["rest"]
    omega = (theirs["sum_sq"]["model"] - theirs["df"]["model"] * error) / n
    assert own["variance"]["model"] == pytest.approx(max(0, omega))
    assert own["share"].sum() == pytest.approx(1)


def known(rng: np.random.Generator, parts: Mapping[str, float], shape: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    """Values of which prompts, models, their interaction, seeds and the rest explain these shares."""
    n_prompts, n_models, n_seeds = shape
    prompts, models = rng.normal(size=n_prompts), rng.normal(size=n_models)
    both = rng.normal(size=(n_prompts, n_models))
    both = both - both.mean(axis=0) - both.mean(axis=1, keepdims=True) + both.mean()
    effects = [
        own * np.sqrt(parts.get(name, 0) / (own**2).mean())
        for name, own in (("prompts", prompts - prompts.mean()), ("model", models - models.mean()), ("both", both))
    ]
    seeds = rng.normal(0, np.sqrt(parts.get("seed", 0)), n_seeds)
    rest = rng.normal(0, np.sqrt(parts["rest"]), shape)
    return np.asarray(effects[0][:, None, None] + effects[1][:, None] + effects[2][:, :, None] + seeds + rest)


@pytest.mark.parametrize(
    "parts",
    [
        {"rest": 1.0},
        {"model": 0.4, "rest": 0.6},
        {"prompts": 0.3, "model": 0.2, "both": 0.1, "seed": 0.1, "rest": 0.3},
    ],
    ids=["nothing", "models", "all"],
)
def test_known_shares_are_found_and_covered(parts: Mapping[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentsim.analysis.measures.variance.N_RESAMPLES", 999)
    rng = np.random.default_rng(11)
    found = [split(known(rng, parts, (4, 2, 5))) for _ in range(40)]
    truth = np.array([parts.get(name, 0.0) for name in ("prompts", "model", "both", "seed", "rest")])
    shares = np.array([one["share"] for one in found], dtype=float)
    lows, highs = (np.array([one[end] for one in found], dtype=float) for end in ("low", "high"))
    assert np.abs(shares.mean(axis=0) - truth).max() < 0.12
    assert (truth > 0).all() or shares.mean(axis=0)[truth == 0].max() < 0.05
    covered = ((lows <= truth + 1e-12) & (truth <= highs + 1e-12)).mean(axis=0)
    assert covered.min() >= 0.85  # 0.95 of 40 sets has a standard error of 0.034
    assert (lows[:, truth == 0].mean(axis=0) < 0.01).all()  # what explains nothing may explain nothing


def test_many_factors_and_their_interactions_sum_to_all() -> None:
    rows = [(a, b, c, s) for a, b, c, s in product("xy", "uvw", range(2), range(3))]
    runs = pd.DataFrame(rows, columns=["a", "b", "c", "seed"])
    runs["y"] = np.random.default_rng(1).normal(size=len(runs)) + (runs["a"] == "x") * 3.0
    found: Any = agentsim.measures.variance_split(runs, ["a", "b", "c"], outcome="y", is_log=False)
    assert list(found["source"]) == ["a", "b", "c", "a × b", "a × c", "b × c", "a × b × c", "seed", "rest"]
    assert found["sum_of_squares"].sum() == pytest.approx(((runs["y"] - runs["y"].mean()) ** 2).sum())
    assert found["df"].sum() == len(runs) - 1
    assert found.set_index("source").loc["a", "share"] > 0.5


def test_large_effects_have_narrow_intervals_and_no_rest_has_none() -> None:
    values = known(np.random.default_rng(2), {"prompts": 1e6, "rest": 1.0}, (3, 2, 4))
    row = split(values).loc["prompts"]
    assert 0.999 < row["low"] < row["share"] < row["high"] <= 1
    exact = np.broadcast_to(np.arange(3.0)[:, None, None], (3, 2, 4))
    found = split(exact)
    assert found["share"]["prompts"] == pytest.approx(1) and found["low"].isna().all()
    assert set(found["problem"]) == {"no interval: runs do not differ but by the factors and seeds"}


def _without(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.drop(index=0)


def _twice(runs: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([runs, runs.head(1)])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_without, r"not complete, 1 run missing, such as prompts p0, model m0, seed 0; play every combination"),
        (_twice, r"more than one run of prompts p0, model m0, seed 0"),
        (lambda runs: runs[runs["seed"] == 1], "a single seed; play at least two"),
        (lambda runs: runs[runs["model"] == "m0"], "model has a single level; vary it"),
        (lambda runs: runs.drop(columns="model"), "runs have no column model"),
        (lambda runs: runs.assign(mean_final_resources=0.0), "12 runs ended at 0 units or less: no logarithm"),
        (lambda runs: runs.assign(mean_final_resources=5.0), "is the same in all runs"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(change: Any, sentence: str) -> None:
    runs = frame(np.random.default_rng(0).lognormal(1, 1, (3, 2, 2)))
    with pytest.raises(AgentsimError, match=sentence):
        agentsim.measures.variance_split(change(runs), ["prompts", "model"])


# --- a study that varies prompts -----------------------------------------------------------------------------------


def generous(prompt: Prompt) -> str:
    """Answer by the prompt: those who read of a donor give more than those who read of a first player."""
    text = "\n".join(message.content for message in prompt.messages)
    last = prompt.messages[-1].content.splitlines()[-1]
    if not last.endswith("NUMBER"):
        return f"{last} fairness."
    most = 6.0 if "donor" in text.lower() else 1.0
    chance = random.Random(f"{text} {prompt.model}").random()
    return last.replace("NUMBER", f"{most * (0.5 + chance / 2):.2f}")


def played(folder: Path, **changes: Any) -> Path:
    data: dict[str, Any] = {
        "name": "wordings",
        "agents": 4,
        "generations": 1,
        "game": {"rounds": 2},
        "providers": ACCOUNT,
        "vary": {"players.model": ["fake/one", "fake/two"], "prompts": ["default", "neutral", "paraphrase-1"]},
        "seeds": list(range(6)),
    }
    scenario = agentsim.scenario_from(data | changes)
    return Path(agentsim.run(scenario, results=folder, provider=FunctionProvider(generous)).folder)


def test_prompt_sets_are_compared_within_each_model_and_their_share_is_told(tmp_path: Path) -> None:
    folder = played(tmp_path)
    found = run_command("compare", folder, "--by", "prompts", "--design", "paired")
    assert found.returncode == 0, found.stderr
    told = " ".join(found.stdout.split())
    assert "What the final resources depend on" in told and "prompts × model" in told
    assert "Groups by prompts are compared only where players.model is the same: 6 pairs of 15" in told
    assert "model: only 2 levels, so the share is that of one difference" in told
    pairs = pd.read_csv(folder / "comparison" / "pairs.csv")
    assert len(pairs) == 6 and set(pairs["n_first"]) == {6}
    for first, second in zip(pairs["first"], pairs["second"], strict=True):
        assert first.split(" (")[1] == second.split(" (")[1] and first != second
    wide = pairs[pairs["second"].str.startswith("neutral") & pairs["first"].str.startswith("default")]
    assert (wide["ratio"] > 1.1).all() and len(wide) == 2
    shares: Any = pd.read_csv(folder / "comparison" / "variance.csv").set_index("source")
    assert list(shares.index) == ["prompts", "model", "prompts × model", "seed", "rest"]
    assert shares["low"]["prompts"] > 0.5 and shares["low"]["model"] < 0.01
    assert list(shares["n_levels"].dropna()) == [3, 2, 6]


def test_models_are_compared_within_each_prompt_set(tmp_path: Path) -> None:
    study = agentsim.load(played(tmp_path))
    found = agentsim.compare(study)
    assert len(found.table) == 3
    for first, second in zip(found.table["first"], found.table["second"], strict=True):
        assert first.startswith("fake/one (prompts ") and second == first.replace("fake/one", "fake/two")
    assert agentsim.compare(study, by="condition").variance.equals(found.variance)
    page = agentsim.write_report(study, tmp_path / "page.html").read_text()
    assert "prompts × model" in page


def test_a_design_that_is_not_crossed_is_said_and_has_no_number(tmp_path: Path) -> None:
    folder = played(tmp_path, seeds=[0, 1])
    (folder / "one--prompts-neutral--seed-1" / "log.jsonl").unlink()
    found = agentsim.compare(agentsim.load(folder, cache=False), by="prompts")
    assert found.variance.empty
    assert any("No split of variance: the design is not complete, 1 run missing" in note for note in found.notes)


def test_one_setting_that_is_not_the_prompts_has_no_split(tmp_path: Path) -> None:
    folder = played(tmp_path, vary={"players.model": ["fake/one", "fake/two"]}, seeds=[0, 1])
    found = run_command("compare", folder)
    assert found.returncode == 0 and "depend on" not in found.stdout
    assert not (folder / "comparison" / "variance.csv").exists()


def test_prompt_sets_of_no_common_model_are_not_compared(tmp_path: Path) -> None:
    folder = played(tmp_path, seeds=[0, 1])
    for name in ("one--prompts-neutral", "one--prompts-paraphrase-1", "two--prompts-default"):
        for seed in (0, 1):
            (folder / f"{name}--seed-{seed}" / "log.jsonl").unlink()
    study = agentsim.load(folder, cache=False)
    assert len(agentsim.compare(study, by="prompts").table) == 1  # the two sets that the second model played
    kept = study.runs["run"].str.startswith(("one--prompts-default", "two--prompts-neutral"))
    with pytest.raises(LogError, match=r"no two groups by 'prompts' are equal in players\.model"):
        agentsim.compare(agentsim.Study(**(vars(study) | {"runs": study.runs[kept]})), by="prompts")
