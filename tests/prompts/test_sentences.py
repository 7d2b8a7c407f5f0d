"""Each rule and each setting that is played has a sentence, and what agents read is what is played."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest
from pydantic import BaseModel

import agentsim.prompts.sets
from agentsim.core.games import AnyGame, DonorGame, Punishment
from agentsim.core.observation import HIGHEST_SCORE, LOWEST_SCORE, ObservationRule, Several
from agentsim.core.pairing import Alternating, PairingRule, RandomMatching, n_reversed
from agentsim.core.rng import stream
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import BirthDeath, Drift, Selection, SelectionRule, Top
from agentsim.core.society import Society
from agentsim.core.transmission import Advice, TransmissionRule
from agentsim.errors import ScenarioError
from agentsim.prompts.sentences import PARTS, settings_of
from agentsim.prompts.sets import SHIPPED, load_prompt_set
from tests.core.test_rules import members

SETS = Path(agentsim.prompts.sets.__file__).parent
FOLDER = SETS / "default"
DEFAULT = load_prompt_set("default")
UNIONS = dict(zip(PARTS, (AnyGame, PairingRule, ObservationRule, SelectionRule, TransmissionRule), strict=True))


def file_of(part: Any, kind: Any) -> str:
    return f"rules/{part}/{kind.model_fields['kind'].default}.md"


EVERY = [
    pytest.param(part, kind, id=f"{part}-{kind.__name__}")
    for part in PARTS
    for kind in members(UNIONS[part])
    if kind is not Several  # it is told by the sentences of the rules that it is made of
]
EVERY_OF_A_SET = [pytest.param(name, *one.values, id=f"{name}-{one.id}") for name in SHIPPED for one in EVERY]
"""Each rule that a shipped set tells."""
UNTOLD = {
    "game": set(),
    "observation": {"max_chars"},  # said where a note is asked for
    "selection": {"fraction", "halves"},  # the number of survivors is told
    "transmission": {"max_chars", "model_from", "persona_from"},  # said where a strategy is asked for; or who is who
}
"""Settings that sentence files name in comments alone, in some file or other."""
ONLY_THERE = {
    ("observation", "gossip"): {"noise", "audience"},
    ("pairing", "network"): {
        "graph",
        "degree",
        "rewired",
        "edges",
        "file",
        "digest",
        "seats",
    },  # what follows for an agent is told
    ("transmission", "copy"): {"scores"},
    ("transmission", "imitate"): {"scores"},
    ("transmission", "none"): {"scores", "chances"},
}
"""And those that do not apply to a kind."""


def told(**rules: Any) -> str:
    return "\n".join(DEFAULT.sentences(SocietyRules.model_validate(rules).told))


def played(part: str, kind: type[BaseModel]) -> dict[str, Any]:
    groups = {"group": 2} if "group" in kind.model_fields else {}
    return {part: kind(**groups)}


@pytest.mark.parametrize(("prompts", "part", "kind"), EVERY_OF_A_SET)
@pytest.mark.parametrize("agents", [2, 4, 6])
def test_every_rule_is_told_in_a_sentence_of_its_own(
    part: str, kind: type[BaseModel], agents: int, prompts: str
) -> None:
    name = kind.model_fields["kind"].default
    assert (SETS / prompts / "rules" / part / f"{name}.md").is_file()
    rules = SocietyRules.model_validate({"agents": agents, **played(part, kind)}).told
    sentences = "\n".join(load_prompt_set(prompts).sentences(rules))
    assert "  " not in sentences and "{" not in sentences and "None" not in sentences
    for line in sentences.splitlines():
        assert line[0].isupper() and line.endswith(".") and " ." not in line and ".." not in line, line
    assert not re.search(r"\b1 (agents|units|rounds|games|notes|times)\b|\bthe others? \d+ leaves\b", sentences)


@pytest.mark.parametrize(("prompts", "part", "kind"), EVERY_OF_A_SET)
def test_every_setting_is_spoken_of(part: str, kind: Any, prompts: str) -> None:
    name = kind.model_fields["kind"].default
    folder = SETS / prompts / "rules" / part
    own = (folder / f"{name}.md").read_text()
    others = {path.stem: path.read_text() for path in folder.glob("*.md")}
    for setting in settings_of(kind):
        texts = [own, *(text for stem, text in others.items() if stem in (setting, *settings_of(kind)))]
        said = [text for text in texts if re.search(rf"\brule\.{setting}\b", re.sub(r"{#.*?#}", "", text, flags=re.S))]
        is_untold = setting in UNTOLD.get(part, set()) | ONLY_THERE.get((part, name), set())
        assert said or is_untold, f"{part}.{setting} of {name} is told nowhere"


@pytest.mark.parametrize("game", ["matrix", "public_goods", "commons", "trust", "ultimatum", "dictator"])
@pytest.mark.parametrize("observation", ["trace", "none", "history", "image_score", "standing", "memory"])
@pytest.mark.parametrize("pairing", ["random", "repeated", "alternating", "released"])
def test_in_other_games_nobody_is_told_of_donors(game: str, observation: str, pairing: str) -> None:
    size = {"group": 2} if game in ("public_goods", "commons") else {}
    if game == "commons" and pairing != "repeated":
        with pytest.raises(ValueError, match="share a stock"):
            told(agents=6, game={"kind": game, **size}, pairing={"kind": pairing})
        return
    sentences = told(
        agents=6, game={"kind": game, **size}, observation={"kind": observation}, pairing={"kind": pairing}
    )
    assert "donor" not in sentences.lower() and "{" not in sentences and "  " not in sentences
    for line in sentences.splitlines():
        assert line[0].isupper() and line.endswith(".") and " ." not in line and ".." not in line, line


def test_a_file_that_asks_for_the_game_tells_all_games(tmp_path: Path) -> None:
    mine = Path(shutil.copytree(FOLDER, tmp_path / "mine"))
    folder = mine / "rules" / "observation"
    (folder / "history.any-game.md").unlink()
    donors, others = ({"game": {"kind": kind}, "observation": {"kind": "history"}} for kind in ("donor", "matrix"))
    with pytest.raises(ScenarioError, match=r"history\.any-game\.md: is missing.*`rules\.game\.kind` in history\.md"):
        load_prompt_set(mine).rules_message(SocietyRules.model_validate(others).told)
    (folder / "history.md").write_text(
        "You see the last {{ rule.depth }} {{ 'gifts' if rules.game.kind == 'donor' else 'acts' }} of all."
    )
    for rules, words in ((donors, "gifts"), (others, "acts")):
        text = load_prompt_set(mine).rules_message(SocietyRules.model_validate(rules).told).content
        assert f"You see the last 3 {words} of all." in text


def test_a_known_length_is_told_and_an_unknown_one_is_not() -> None:
    for game in ({}, {"kind": "matrix"}):
        assert "A game has 7 rounds." in told(game={**game, "rounds": 7, "length": "known"})
        assert "you are not told how many" in told(game={**game, "rounds": 7})
        assert "7 rounds" not in told(game={**game, "rounds": 7})
        known = told(game={**game, "rounds": 7, "length": "known", "continuation": 0.5})
        assert "at least 7 rounds" in known and "a 50% chance of another round" in known
        assert "not told how many" not in known


def test_rules_side_by_side_are_each_told() -> None:
    both = told(observation=[{"kind": "memory", "depth": 4}, {"kind": "standing"}])
    assert "up to the last 4" in both and "good or bad standing" in both
    assert "Of what agents did to others, you are told nothing" not in both


def test_agents_are_told_the_ends_of_the_score_that_is_counted() -> None:
    assert f"between {LOWEST_SCORE} and {HIGHEST_SCORE}." in told(agents=4, observation={"kind": "image_score"})


class Elders(Selection):
    """Keeps the poorest; told by nobody yet."""

    kind: Literal["elders"] = "elders"
    share: float = 0.5

    def n_survivors(self, n_agents: int) -> int:
        return n_agents // 2

    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        return tuple(sorted(scores, key=lambda agent: scores[agent]))[: self.n_survivors(len(scores))]


def with_elders() -> SocietyRules:
    return SocietyRules().told.model_copy(update={"selection": Elders()})


def test_a_rule_without_a_sentence_is_an_error_that_names_the_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(
        ScenarioError, match=r"default/rules/selection/elders\.md: is missing.*selection: {kind: elders}"
    ):
        DEFAULT.rules_message(with_elders())
    mine = Path(shutil.copytree(FOLDER, tmp_path / "mine"))
    (mine / "rules" / "selection" / "elders.md").write_text("The poorest live on.")
    with pytest.raises(ScenarioError, match=r"elders\.md: does not speak of `rule\.share`.*selection/share\.md"):
        load_prompt_set(mine).rules_message(with_elders())
    (mine / "rules" / "selection" / "elders.md").write_text(
        "{# rule.share #}\nThe {{ rules.n_survivors }} poorest live on."
    )
    text = load_prompt_set(mine).rules_message(with_elders()).content
    assert "- The 6 poorest live on." in text and "most units live on" not in text
    load_prompt_set(mine).rules_message(SocietyRules(generations=1).told)


def test_a_users_set_needs_its_own_sentences(tmp_path: Path) -> None:
    mine = Path(shutil.copytree(FOLDER, tmp_path / "mine"))
    (mine / "rules" / "pairing" / "alternating.md").unlink()
    with pytest.raises(ScenarioError, match=r"mine/rules/pairing/alternating\.md: is missing"):
        load_prompt_set(mine).rules_message(SocietyRules().told)
    assert load_prompt_set(mine).rules_message(SocietyRules(pairing=RandomMatching()).told)
    (mine / "rules.md").write_text("Play.")
    with pytest.raises(ScenarioError, match=r"mine/rules\.md: does not speak of `sentences`"):
        load_prompt_set(mine).rules_message(SocietyRules(pairing=RandomMatching()).told)


def test_a_sentence_counts_in_the_digest_of_a_set(tmp_path: Path) -> None:
    mine = Path(shutil.copytree(FOLDER, tmp_path / "mine"))
    assert load_prompt_set(mine).digest == DEFAULT.digest
    (mine / "rules" / "selection" / "top.md").write_text("The best {{ rule.fraction }} live on. {# rule.halves #}")
    assert load_prompt_set(mine).digest != DEFAULT.digest


# --- what is told is what is played ---------------------------------------------------------------------------------


@pytest.mark.parametrize("agents", [2, 4, 6, 10, 12])
@pytest.mark.parametrize("kind", ["alternating", "both", "released", "random"])
@pytest.mark.parametrize("rounds", [1, 3, 40])
def test_agents_are_told_whether_they_can_pay_back(kind: str, agents: int, rounds: int) -> None:
    pairing: dict[str, Any] = {"kind": "alternating", "in_both_roles": True} if kind == "both" else {"kind": kind}
    rules = SocietyRules.model_validate({"agents": agents, "pairing": pairing, "game": {"rounds": rounds}})
    schedule = rules.pairing.schedule([f"1_{n}" for n in range(agents)], 40, stream(0, "pairing", 1))
    text = told(**rules.model_dump())
    assert ("not pay back" in text) == (n_reversed(schedule) == 0)
    assert ("roles are reversed" in text) == (kind in ("both", "released") and n_reversed(schedule) > 0 and agents > 2)
    assert ("You meet the same agent in each round" in text) == (agents == 2)
    if isinstance(rules.pairing, Alternating):
        assert rules.pairing.is_reversing(agents) == (n_reversed(schedule) > 0)
    assert text == told(**{**rules.model_dump(), "game": {"rounds": 2}})  # nothing follows from how long a game is


def test_nothing_is_said_of_a_next_generation_where_there_is_none() -> None:
    text = told(generations=1)
    assert "live on" not in text and "generation" not in text and "strateg" not in text
    assert "generation" in told(generations=2) and told(generations=2) == told(generations=9)


def test_nothing_is_said_of_newborns_where_nobody_leaves() -> None:
    text = told(selection={"kind": "none"})
    assert "all agents live on" in text and "a new agent" not in text and "leaves" not in text
    assert "may keep their strategies" in told(selection={"kind": "none"}, transmission=Advice(rewrite=True))


def test_the_numbers_of_those_who_live_on_are_those_that_do() -> None:
    for agents, n in ((5, 3), (7, 4), (12, 6)):
        text = told(agents=agents, pairing=RandomMatching(), selection=Top())
        assert f"the {n} agents with the most units live on" in text
    assert "the agent with the most units lives on" in told(agents=2)
    assert "the other one leaves" in told(agents=4, selection=Top(fraction=0.75))


def test_parents_are_told_to_be_whom_newborns_learn_from() -> None:
    assert "all agents of the generation that ended" in told(selection=BirthDeath())
    assert "the strategies of the agents that live on" in told(selection=Drift())


def test_constants_of_rules_are_told_as_they_are() -> None:
    game = DonorGame(endowment=1, multiplier=1.005, punishment=Punishment(cost=3, effect=1), error=0.0004)
    text = told(game=game)
    assert "with 1 unit." in text and "becomes 1.005 units" in text and "loses 0.333333 units" in text
    assert "a 0.04% chance" in text


def test_several_games_are_told() -> None:
    assert "You play 2 games" in told() and "the mean of what it had" in told()
    one = told(game=DonorGame(games=1))
    assert "games" not in one and "starts the game with" in one
    assert "what it had at the end of the last game" in told(selection=Top(score="last_game"))


def test_no_act_is_seen_where_nothing_is_shown() -> None:
    hidden = told(observation={"kind": "none"}, game=DonorGame(error=0.1))
    assert "to others, it appears" not in hidden and "to others, it appears" in told(game=DonorGame(error=0.1))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "it gave less than 25% of its units to an agent in good standing, and in good standing otherwise"),
        (
            {"assessment": {"keep_from_bad": "bad"}},
            "it gave less than 25% of its units, and in good standing otherwise",
        ),
        (
            {"assessment": {"give_to_bad": "bad"}},
            "it gave at least 25% of its units to an agent in bad standing, or gave less than 25% of its units to an"
            " agent in good standing",
        ),
        (
            {"of_bad_donors": {"keep_from_good": "good"}},
            "an agent in bad standing returns to good standing with",
        ),
        ({"assessment": {"keep_from_good": "good"}}, "Nothing that an agent does as the donor puts it in bad"),
    ],
)
def test_a_standings_table_is_told(settings: dict[str, Any], sentence: str) -> None:
    assert sentence in told(observation={"kind": "standing", **settings})


def test_the_next_rounds_prompts_hold_what_the_rules_say() -> None:
    [first, *_] = Society(SocietyRules(), labels="m", seed=0).start().asked
    system = DEFAULT.messages(first)[0].content
    assert all(f"- {sentence}" in system for sentence in DEFAULT.sentences(SocietyRules().told))
