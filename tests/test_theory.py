"""What theory says of the donation game, found again by playing the scenario files of `scenarios/theory`."""

from __future__ import annotations

from pathlib import Path

import pytest

import agentsim
from agentsim.analysis.frames.study import Study
from agentsim.core.observation import Standing
from agentsim.core.policies import leading_eight
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.runs import runs

FOLDER = Path(agentsim.__file__).parent.parent / "scenarios" / "theory"


def played(name: str, results: Path, *, seeds: str) -> Study:
    """Return the study of a scenario file, played as a user plays it, with as few of its seeds as show it."""
    return agentsim.load(agentsim.run(load_scenario(FOLDER / f"{name}.yaml", seeds=seeds), results=results).folder)


def payoffs(study: Study) -> dict[tuple[str, str], float]:
    """Return the gain of one turn as donor and one as recipient, by the setting that varies and the player's label."""
    condition = study.runs.set_index("run")["condition"]
    game = next(iter(study.started.values())).condition["game"]
    agents = study.agents.assign(condition=condition.loc[study.agents["run"]].to_numpy())
    gains = (agents["score"] - game["endowment"]) / (game["rounds"] / 2)
    means = gains.groupby([agents["condition"], agents["model"]]).mean()
    return {(str(key[0]), str(key[1])): float(mean) for key, mean in means.to_dict().items()}


def giving(study: Study, *, after: int = 0) -> dict[str, float]:
    """Return the share of acts that were gifts, in the rounds after the given one, by condition."""
    late = study.encounters[study.encounters["round"] > after]
    condition = study.runs.set_index("run")["condition"].loc[late["run"]].to_numpy()
    return {str(name): float(mean) for name, mean in late["fraction"].groupby(condition).mean().items()}


def test_image_scoring_unravels_under_errors_where_standing_and_generosity_do_not(tmp_path: Path) -> None:
    """Panchanathan & Boyd 2003: who keeps from the bad is bad to a scorer, and so on without end."""
    found = giving(played("image-scoring", tmp_path, seeds="0-9"), after=40)
    assert {name: share for name, share in found.items() if "error-0--" in name or name.endswith("error-0")} == {
        name: 1.0 for name in found if "error-0--" in name or name.endswith("error-0")
    }
    under = {name.split("--")[0]: share for name, share in found.items() if "error-0.1" in name}
    assert under["image-scorer"] < 0.1 and under["standing"] > 2 / 3 and under["generous-discriminator"] > 2 / 3, under


@pytest.mark.parametrize("rule", range(1, 9))
def test_the_leading_eight_keep_giving_under_errors_and_keep_a_defector_out(rule: int, tmp_path: Path) -> None:
    """Ohtsuki & Iwasa 2006: all but a share of order `error` give, and a rare defector earns less than they do."""
    name = f"leading-eight-{rule}"
    [condition] = {spec.condition for spec in runs(load_scenario(FOLDER / f"{name}.yaml"))}
    rules = condition.observation
    assert isinstance(rules, Standing)
    assert (rules.assessment, rules.of_bad_donors) == leading_eight(rule)
    study = played(name, tmp_path, seeds="0-4")
    gains = {label: gain for (_, label), gain in payoffs(study).items()}
    given = study.encounters.groupby("donor_model")["fraction"].mean()
    assert gains["scripted/leading-eight"] - gains["scripted/all-keep"] > 1 and given["scripted/leading-eight"] > 0.8
    # A defector is met as bad after its first turns: it gains next to nothing.
    assert gains["scripted/all-keep"] < 0.3


def test_discriminators_resist_a_defector_if_its_past_is_known_likelier_than_cost_to_benefit(tmp_path: Path) -> None:
    """Nowak & Sigmund 1998: q > c/b. Discriminators give to each other and, where they do not know, to defectors."""
    n, cost, benefit = 40, 1, 2
    found = payoffs(played("known-pasts", tmp_path, seeds="0-9"))
    for q in (0.35, 0.65):
        gain = {label: value for (name, label), value in found.items() if name.endswith(f"known-{q}")}
        others = (n - 2) / (n - 1)
        discriminator = (benefit - cost) * others - cost * (1 - others) * (1 - q)
        defector = benefit * (1 - q)
        difference = gain["scripted/discriminator"] - gain["scripted/all-keep"]
        assert (difference > 0) == (q > cost / benefit), gain
        assert difference == pytest.approx(discriminator - defector, abs=0.1)


def test_generosity_is_safe_up_to_one_minus_cost_to_benefit(tmp_path: Path) -> None:
    """Schmid et al. 2021: a defector among the generous earns b times their generosity, a resident b - c."""
    study = played("generosity", tmp_path, seeds="0-9")
    casts = {
        run: next(player["generosity"] for player in start.condition["players"] if "generosity" in player)
        for (_, run), start in study.started.items()
    }
    generosity = {str(row["condition"]): casts[row["run"]] for row in study.runs.to_dict("records")}
    gains = payoffs(study)
    for name, g in generosity.items():
        resident = gains[name, "scripted/generous-discriminator"]
        defector = gains[name, "scripted/all-keep"]
        assert (resident > defector) == (g < 1 - 1 / 3)
        assert resident == pytest.approx(3 - 1, abs=0.15) and defector == pytest.approx(3 * g, abs=0.15)


def test_stern_judging_falls_to_one_half_where_each_judges_for_itself(tmp_path: Path) -> None:
    """Uchida & Sasaki 2013; Hilbe et al. 2018: with private judgements half of all acts are gifts in the long run."""
    found = giving(played("private-judgement", tmp_path, seeds="0-2"), after=100)
    [private] = [share for name, share in found.items() if "private" in name]
    [public] = [share for name, share in found.items() if "public" in name]
    assert private == pytest.approx(0.5, abs=0.02) and public > 0.9
