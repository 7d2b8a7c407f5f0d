"""Scenario files: what they mean, what is refused and where, and which runs they come to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.core.observation import Trace
from agentsim.core.policies import AllKeep, ConstantShare
from agentsim.errors import ScenarioError
from agentsim.play.rehearsal import prompt_set
from agentsim.prompts import sets
from agentsim.scenario.conditions import Condition, Scenario, digest, identity
from agentsim.scenario.loading import load_scenario, scenario_from
from agentsim.scenario.names import MAX_CHARS, condition_names
from agentsim.scenario.players import ModelPlayer
from agentsim.scenario.runs import describe, runs
from agentsim.scenario.schema import json_schema
from agentsim.scenario.tree import SHIPPED_PROMPTS
from agentsim.scenario.yaml_source import read_text

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SHIPPED = sorted(SCENARIOS.glob("**/*.yaml"))
Write = Callable[..., Path]

MINIMAL = "name: x\nplayers: {model: openai/a}\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "s.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def refusal(path: Path, **options: Any) -> str:
    """Return the message with which a file is refused, its folder's name left out."""
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, **options)
    return str(caught.value).replace(f"{path.parent}/", "")


def model_player(scenario: Condition) -> ModelPlayer:
    assert isinstance(scenario.players, ModelPlayer)
    return scenario.players


# --- what files mean -----------------------------------------------------------------------------------------------


def test_a_name_and_players_are_enough_for_the_paper_s_experiment(write: Write) -> None:
    scenario = load_scenario(write(MINIMAL))
    assert (scenario.agents, scenario.generations) == (12, 10)
    assert (scenario.donor_game.rounds, scenario.game.games, scenario.donor_game.multiplier) == (12, 2, 2)
    assert scenario.pairing.kind == "alternating"
    assert scenario.observation == Trace(depth=3)
    assert scenario.players == ModelPlayer(model="openai/a", temperature=0.8)
    assert scenario.seeds == (0, 1, 2, 3, 4)
    assert scenario.n_requests(0) == 1506


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios_are_sound_and_named_as_their_file(path: Path) -> None:
    scenario = load_scenario(path)
    assert scenario.name == "-".join(path.relative_to(SCENARIOS).with_suffix("").parts)
    assert scenario.description
    assert runs(scenario)


def test_the_donor_game_has_the_paper_s_number_of_requests() -> None:
    summary = describe(load_scenario(SCENARIOS / "donor-game.yaml"))
    assert [spec.condition.n_requests(spec.seed) for spec in summary.runs] == [1506] * 5
    assert summary.n_requests == 5 * 1506


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_resolved_scenario_reads_back_as_itself(path: Path) -> None:
    scenario = load_scenario(path)
    again = scenario_from(read_text(describe(scenario).yaml, source="dump").plain())
    assert again == scenario
    assert runs(again) == runs(scenario)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("[3, 1]", (3, 1)), ("0-2", (0, 1, 2)), ("'7'", (7,)), ("0-1,5", (0, 1, 5)), ("'0, 3 - 4'", (0, 3, 4))],
)
def test_seeds_are_a_list_or_ranges(write: Write, text: str, seeds: tuple[int, ...]) -> None:
    assert load_scenario(write(f"{MINIMAL}seeds: {text}")).seeds == seeds


def test_a_model_s_name_may_hold_slashes() -> None:
    player = ModelPlayer(model="openrouter/meta-llama/llama-3-70b")
    assert (player.account, player.model_name) == ("openrouter", "meta-llama/llama-3-70b")


# --- extends -------------------------------------------------------------------------------------------------------


def test_a_child_is_merged_over_its_parent(write: Write) -> None:
    base = "name: base\nagents: 6\ngame: {rounds: 4, multiplier: 3}\nplayers: {model: openai/a, temperature: 1}"
    write(f"{base}\nseeds: [1, 2]")
    child = load_scenario(
        write("extends: s.yaml\nname: child\ngame: {rounds: 5}\nplayers: {model: openai/b}\nseeds: [9]", "c.yaml")
    )
    assert (child.name, child.agents, child.seeds) == ("child", 6, (9,))
    assert (child.donor_game.rounds, child.donor_game.multiplier) == (5, 3)
    assert child.players == ModelPlayer(model="openai/b", temperature=1)


def test_options_of_another_rule_are_dropped(write: Write) -> None:
    write("name: base\nplayers: {model: openai/a, temperature: 1}")
    child = load_scenario(write("extends: s.yaml\nname: child\nplayers: {model: scripted/all-keep}", "c.yaml"))
    assert child.players == AllKeep()


def test_a_parent_s_name_is_not_inherited(write: Write) -> None:
    write(MINIMAL + "description: about x")
    assert "name: is missing" in refusal(write("extends: s.yaml", "c.yaml"))
    assert load_scenario(write("extends: s.yaml\nname: y", "c.yaml")).description == ""


def test_an_error_names_the_file_that_the_value_came_from(write: Write) -> None:
    write("players: {model: openai/a}\nagents: 7", "base/b.yaml")
    path = write("extends: base/b.yaml\nname: y")
    assert refusal(path).startswith("base/b.yaml:2:9: agents: 7 cannot be paired")


@pytest.mark.parametrize(
    ("extends", "fragment"),
    [
        ("../other.yaml", "leads out of the file's folder"),
        ("/etc/passwd", "leads out of the file's folder"),
        ("link/other.yaml", "leads out of the file's folder"),
        ("none.yaml", "is no file"),
        ("[a.yaml]", "is not a path"),
        ("s.yaml", "extend each other: s.yaml → s.yaml"),
        ("b.yaml", "extend each other: s.yaml → b.yaml → s.yaml"),
        ('"a\\0b"', "cannot be followed"),
    ],
)
def test_extends_stays_in_the_folder_and_makes_no_circle(
    write: Write, tmp_path: Path, extends: str, fragment: str
) -> None:
    write(MINIMAL, "other.yaml")
    path = write(f"name: y\nextends: {extends}", "study/s.yaml")
    write("extends: s.yaml", "study/b.yaml")
    (path.parent / "link").symlink_to(tmp_path)
    assert fragment in refusal(path)


# --- settings ------------------------------------------------------------------------------------------------------


def test_settings_are_applied_in_order_and_may_make_index_and_clear(write: Write) -> None:
    path = write(MINIMAL + "seeds: [1, 2]\nvary: {agents: [4, 6]}")
    sets = [
        "game.rounds=3",
        "game.rounds=4",
        "game.punishment.cost=2",
        "seeds.0=7",
        "vary=null",
        "pairing={kind: random}",
    ]
    scenario = load_scenario(path, sets=sets)
    assert (scenario.game.rounds, scenario.seeds, scenario.vary) == (4, (7, 2), {})
    assert scenario.donor_game.punishment is not None and scenario.donor_game.punishment.cost == 2
    assert scenario.pairing.kind == "random"


def test_a_variation_can_be_set(write: Write) -> None:
    assert load_scenario(write(MINIMAL), sets=["vary.game.rounds=[1, 2]"]).vary == {"game.rounds": (1, 2)}


def test_another_model_keeps_the_sampling_settings(write: Write) -> None:
    path = write("name: x\nplayers: {model: openai/a, temperature: 0.1}\nvary: {players.model: [openai/b, openai/c]}")
    scenario = load_scenario(path, model="local/m", seeds="3-4")
    assert scenario.players == ModelPlayer(model="local/m", temperature=0.1)
    assert (scenario.vary, scenario.seeds) == ({}, (3, 4))
    assert load_scenario(path, model="scripted/all-keep").players == AllKeep()


def test_another_model_takes_the_place_of_varied_players(write: Write) -> None:
    path = write("name: x\nvary: {players: [{model: openai/a}, {model: scripted/all-keep}], agents: [4]}")
    scenario = load_scenario(path, model="openai/b")
    assert scenario.players == ModelPlayer(model="openai/b")
    assert list(scenario.vary) == ["agents"]


@pytest.mark.parametrize(
    ("options", "start", "fragment"),
    [
        ({"sets": ["game.rounds=0"]}, "--set game.rounds=0: game.rounds: 0 is not allowed", "from 1 to 10000"),
        ({"sets": ["game.roundz=3"]}, "--set game.roundz=3: game.roundz: unknown key", "did you mean 'rounds'?"),
        ({"sets": ["rounds"]}, "--set rounds: is not a setting", "key.path=value"),
        ({"sets": ["a..b=1"]}, "--set a..b=1: is not a setting", "key.path=value"),
        ({"sets": ["seeds.9=1"]}, "--set seeds.9=1: seeds.9: '9' is no index of this list of 2", "from 0"),
        ({"sets": ["seeds.x=1"]}, "--set seeds.x=1: seeds.x: 'x' is no index", "from 0"),
        ({"sets": ["name.x=1"]}, "--set name.x=1: name.x: name is 'x'", "no key 'x'"),
        ({"sets": ["game=[1"]}, "--set game=[1: is not valid YAML", ""),
        ({"sets": ["extends=a.yaml"]}, "--set extends=a.yaml: ", "extends"),
        ({"sets": ["prompts=../p"]}, "--set prompts=../p: prompts: '../p' leads out", ""),
        ({"model": "gpt-4o"}, "--model gpt-4o: players.model: 'gpt-4o' names no model", "provider/name"),
        (
            {"model": "opnai/a"},
            "--model opnai/a: players.model: no provider is called 'opnai'",
            "did you mean 'openai'?",
        ),
        ({"seeds": "4-0"}, "--seeds 4-0: seeds: '4-0' is not a range", "0-4"),
    ],
)
def test_a_wrong_option_is_named(write: Write, options: dict[str, Any], start: str, fragment: str) -> None:
    message = refusal(write(MINIMAL + "seeds: [1, 2]"), **options)
    assert message.startswith(start)
    assert fragment in message


# --- prompts -------------------------------------------------------------------------------------------------------


def test_prompt_folders_become_absolute_from_the_file_that_names_them(write: Write, tmp_path: Path) -> None:
    write("prompts: mine\nplayers: {model: openai/a}", "base/b.yaml")
    (tmp_path / "base" / "mine").mkdir()
    scenario = load_scenario(write("extends: base/b.yaml\nname: y"))
    assert scenario.prompts == str(tmp_path / "base" / "mine")
    varied = load_scenario(write("extends: base/b.yaml\nname: y\nvary: {prompts: [default, base/mine]}"))
    assert [spec.condition.prompts for spec in runs(varied)[::5]] == ["default", str(tmp_path / "base" / "mine")]
    assert [spec.name for spec in runs(varied)[::5]] == ["a--prompts-default--seed-0", "a--prompts-mine--seed-0"]


@pytest.mark.parametrize(("folder", "fragment"), [("none", "is no folder"), ("..", "leads out"), ("link", "leads out")])
def test_prompts_are_a_folder_beside_the_file(write: Write, tmp_path: Path, folder: str, fragment: str) -> None:
    path = write(f"{MINIMAL}prompts: {folder}", "study/s.yaml")
    (path.parent / "link").symlink_to(tmp_path)
    assert refusal(path).startswith("s.yaml:3:10: prompts: ")
    assert fragment in refusal(path)


# --- mistakes ------------------------------------------------------------------------------------------------------

IN_RULES = [
    ("agents: 7", "3:9: agents: 7 cannot be paired", "use an even number"),
    ("agents: '12'", "3:9: agents: '12' is not allowed", "a whole number from 2 to 10000"),
    ("agents: true", "3:9: agents: true is not allowed", "a whole number"),
    ("agents: 12.5", "3:9: agents: 12.5 is not allowed", "a whole number"),
    ("agents: 0", "3:9: agents: 0 is not allowed", "from 2 to 10000"),
    ("agents:", "3:8: agents: null is not allowed", "a whole number"),
    ("agentz: 4", "3:1: agentz: unknown key 'agentz', did you mean 'agents'?", "allowed: agents, generations"),
    ("extend: a.yaml", "3:1: extend: unknown key 'extend', did you mean 'extends'?", "allowed"),
    ("zzz: 1", "3:1: zzz: unknown key 'zzz'; allowed: ", "extends"),
    ("game: {roundz: 3}", "3:8: game.roundz: unknown key", "did you mean 'rounds'?"),
    ("game:\n  rounds: 0", "4:11: game.rounds: 0 is not allowed", "from 1 to 10000"),
    ("game: {rounds: .inf}", "3:16: game.rounds: inf is not allowed", "a whole number"),
    ("game: {endowment: .nan}", "3:19: game.endowment: nan is not allowed", "a number greater than 0"),
    ("game: {multiplier: 1e400}", "3:20: game.multiplier: inf is not allowed", "a number greater than 0"),
    ("game: {punishment: {cost: -1}}", "3:27: game.punishment.cost: -1 is not allowed", "greater than 0"),
    ("game: {punishment: yes}", "3:20: game.punishment: 'yes' is not allowed", "a mapping of cost, effect or null"),
    ("game: {kind: dontor}", "3:14: game.kind: 'dontor' is unknown", "did you mean 'donor'?"),
    ("game: 3", "3:7: game: 3 is not allowed", "a mapping, as {kind: donor}"),
    ("pairing: random", "3:10: pairing: 'random' is not allowed", "as {kind: alternating}"),
    ("pairing: {kind: rnadom}", "3:17: pairing.kind: 'rnadom' is unknown, did you mean 'random'?", "released"),
    ("pairing: {}", "3:1: pairing.kind: is missing", "alternating, released, random"),
    ("selection: {fraction: 0.01}", "3:23: selection.fraction: 0.01 of 12 agents leaves 0", "must survive"),
    ("selection: {fraction: 1}", "3:23: selection.fraction: 1 is not allowed", "greater than 0 and less than 1"),
    ("selection: {score: last}", "3:20: selection.score: 'last' is not allowed", "did you mean 'last_game'?"),
    ("observation: {depth: -1}", "3:22: observation.depth: -1 is not allowed", "from 0 to 100"),
    ("transmission: {scores: no}", "3:24: transmission.scores: 'no' is not allowed", "true or false"),
    ("on_invalid: {then: skip}", "3:20: on_invalid.then: 'skip' is not allowed", "'pass', 'zero', 'stop'"),
    ("on_invalid: {attempts: 0}", "3:24: on_invalid.attempts: 0 is not allowed", "from 1 to 100"),
    ("prompts: 3", "3:10: prompts: 3 is not allowed", "a text"),
    ("name: y", "3:1: name: key 'name' is already set in line 1", "keep one"),
]
IN_GRID = [
    ("seeds: 3.5", "3:8: seeds: 3.5 is not allowed", "a list, as [0, 1, 2], or a range, as 0-4"),
    ("seeds: []", "3:8: seeds: a list is not allowed", "write a list"),
    ("seeds: [1, 1]", "3:8: seeds: seed 1 is listed twice", "keep one"),
    ("seeds: [0, a]", "3:12: seeds.1: 'a' is not allowed", "valid integer"),
    ("seeds: [-1]", "3:9: seeds.0: -1 is not allowed", "greater than or equal to 0"),
    ("seeds: 0-10000", "3:8: seeds: '0-10000' are too many seeds", "10000"),
    ("seeds: 0-999999999999", "3:8: seeds: '0-999999999999' are too many seeds", "10000"),
    ("vary: {agents: [4, 7]}", "3:20: agents: 7 cannot be paired", "(where agents=7)"),
    ("vary: {game.rounds: [1, 0]}", "3:25: game.rounds: 0 is not allowed", "(where game.rounds=0)"),
    ("vary: {game.roundz: [1]}", "3:8: game.roundz: unknown key", "did you mean 'rounds'?"),
    ("vary: {gaem.rounds: [1]}", "3:8: vary.gaem.rounds: 'gaem' does not exist, did you mean 'game'?", "agents"),
    ("vary: {seeds: [1]}", "3:8: vary.seeds: 'seeds' cannot be varied", "paths begin with agents"),
    ("vary: {agents: 4}", "3:16: vary.agents: 4 is not allowed", "a list of at least one value"),
    ("vary: {agents: []}", "3:16: vary.agents: an empty list is not allowed", "at least one value"),
    ("vary: {agents: [4, 4]}", "3:20: vary.agents.1: 4 is listed twice", "keep one"),
    ("vary: {game.multiplier: [2, 2.0]}", "3:7: vary: two conditions are the same", "game.multiplier=2.0"),
    ("vary: {game.: [1]}", "3:8: vary.game.: is not a path", "game.rounds"),
    ("vary: {game: [{}], game.rounds: [3]}", "3:20: vary.game.rounds: overlaps with 'game'", "one of the two"),
    ("vary: [agents]", "3:7: vary: a list is not a mapping", "game.multiplier"),
    (
        "vary: {players.model: [openai/b, opnai/c]}",
        "3:34: players.model: no provider is called 'opnai'",
        "did you mean",
    ),
    ("providers: {Vllm: {}}", "3:13: providers.Vllm: 'Vllm' cannot name an account", "a-z"),
    ("providers: {scripted: {}}", "3:13: providers.scripted: 'scripted' is taken", "a-z"),
    ("providers: {openai: 3}", "3:21: providers.openai: 3 is not allowed", "mapping"),
    ("providers: {openai: {concurency: 3}}", "3:22: providers.openai.concurency: unknown key", "'concurrency'?"),
    ("providers: {openai: {concurrency: 0}}", "3:35: providers.openai.concurrency: 0 is not", "from 1 to 10000"),
    ("providers: {openai: {timeout_s: .inf}}", "3:33: providers.openai.timeout_s: inf is not", "greater than 0"),
    ("providers: {vllm: {}}", "3:19: providers.vllm: base_url is missing", "http://"),
]
IN_PLAYERS = [
    ("players: openai/gpt", "2:10: players: 'openai/gpt' is not allowed", "as {model: openai/gpt-4o-2024-08-06}"),
    ("players: {}", "2:1: players.model: is missing", "`model: openai/gpt-4o-2024-08-06`"),
    ("agents: 4", "1:1: players: is missing", "as {model: openai/gpt-4o-2024-08-06}"),
    ("players: {model: gpt-4o}", "2:18: players.model: 'gpt-4o' names no model", "provider/name"),
    ("players: {model: 3}", "2:18: players.model: 3 is not allowed", "a text"),
    (
        "players: {model: vllm/a}",
        "2:18: players.model: no provider is called 'vllm'",
        "openai, gemini, anthropic, local",
    ),
    ("players: {model: scritped/all-give}", "2:18: players.model: no provider is called", "did you mean 'scripted'?"),
    (
        "players: {model: scripted/all-giv}",
        "2:18: players.model: 'scripted/all-giv' is unknown",
        "'scripted/all-give'?",
    ),
    (
        "players: {model: scripted/all-give, share: 1}",
        "2:37: players.share: unknown key 'share'",
        "allowed: agents, name, meets_from, joins_sanctions, model",
    ),
    ("players: {model: scripted/constant-share, share: 2}", "2:50: players.share: 2 is not allowed", "from 0 to 1"),
    ("players: {model: openai/a, temprature: 1}", "2:28: players.temprature: unknown key", "'temperature'?"),
    (
        "players: {model: openai/a, temperature: 3}",
        "2:41: players.temperature: 3 is not allowed",
        "from 0 to 2 or null",
    ),
    ("players: {model: openai/a, seed: x}", "2:34: players.seed: 'x' is not allowed", "'derived'"),
    ("players: {model: openai/a, extra: 4}", "2:35: players.extra: 4 is not allowed", "a mapping"),
    ("players: {model: openai/a, extra: {x: [.nan]}}", "2:35: players.extra: holds what JSON cannot", ".nan"),
    (
        "players: {model: anthropic/a, seed: derived}",
        "2:31: players.seed: 'anthropic' has no such parameter",
        "remove it",
    ),
    ("players: {model: openai/a, extra: {model: b}}", "2:36: players.extra.model: ", "remove it"),
]


@pytest.mark.parametrize(
    ("text", "place", "fragment"),
    [(MINIMAL + text, place, fragment) for text, place, fragment in IN_RULES + IN_GRID]
    + [(f"name: x\n{text}", place, fragment) for text, place, fragment in IN_PLAYERS]
    + [
        ("name: ../x\nplayers: {model: openai/a}", "1:7: name: '../x' cannot name a folder", "letter or digit first"),
        ("name: a..b\nplayers: {model: openai/a}", "1:7: name: 'a..b' cannot name a folder", "a-z"),
        ("players: {model: openai/a}", "1:1: name: is missing", "a text"),
    ],
)
def test_a_mistake_is_placed_and_says_what_is_allowed(write: Write, text: str, place: str, fragment: str) -> None:
    message = refusal(write(text))
    assert message.startswith(f"s.yaml:{place}")
    assert fragment in message


def test_several_mistakes_are_reported_in_the_file_s_order(write: Write) -> None:
    message = refusal(write(f"foo: 1\n{MINIMAL}game: {{rounds: 0}}\nagents: 0"))
    places = [line for line in message.splitlines() if line.startswith("s.yaml")]
    assert [place.split(": ")[0] for place in places] == ["s.yaml:1:1", "s.yaml:4:16", "s.yaml:5:9"]


def test_too_many_runs_are_refused_before_they_are_made(write: Write) -> None:
    paths = ["game.rounds", "generations", "observation.depth", "on_invalid.attempts"]
    vary = "".join(f"  {path}: [{', '.join(map(str, range(1, 51)))}]\n" for path in paths)
    assert "31250000 runs (conditions × seeds) are too many" in refusal(write(f"{MINIMAL}vary:\n{vary}"))


def test_data_of_a_notebook_is_checked_the_same() -> None:
    with pytest.raises(ScenarioError, match=r"^scenario: game\.rounds: 0 is not allowed"):
        scenario_from({"name": "x", "players": {"model": "openai/a"}, "game": {"rounds": 0}})
    with pytest.raises(ScenarioError, match=r"^scenario: extends: only files"):
        scenario_from({"name": "x", "extends": "a.yaml"})
    assert scenario_from({"name": "x", "players": {"model": "openai/a"}, "seeds": (1, 2)}).seeds == (1, 2)


# --- runs ----------------------------------------------------------------------------------------------------------


def grid(vary: dict[str, Any], **others: Any) -> Scenario:
    return scenario_from({"name": "x", "players": {"model": "openai/gpt-4o"}, "vary": vary, "seeds": [0], **others})


def names(scenario: Scenario) -> list[str]:
    return [spec.name for spec in runs(scenario)]


def test_every_cell_runs_under_every_seed() -> None:
    specs = runs(grid({"observation.depth": [1, 3], "game.multiplier": [2, 3]}, seeds=[4, 5]))
    assert len(specs) == 8
    assert [
        (spec.settings["observation.depth"], spec.condition.donor_game.multiplier, spec.seed) for spec in specs[:4]
    ] == [
        (1, 2, 4),
        (1, 2, 5),
        (1, 3, 4),
        (1, 3, 5),
    ]
    assert specs[0].settings == {"observation.depth": 1, "game.multiplier": 2}
    assert len({spec.name for spec in specs}) == 8


def test_names_read_like_the_condition() -> None:
    assert names(grid({"observation.depth": [1, 3]})) == ["gpt-4o--depth-1--seed-0", "gpt-4o--depth-3--seed-0"]
    assert names(grid({"players.model": ["openai/gpt-4o", "anthropic/Claude-3"]})) == [
        "gpt-4o--seed-0",
        "claude-3--seed-0",
    ]
    assert names(grid({"game.punishment": [None, {"cost": 1, "effect": 2}], "pairing": [{"kind": "random"}]})) == [
        "gpt-4o--punishment-none--pairing-random--seed-0",
        "gpt-4o--punishment-cost-1-effect-2--pairing-random--seed-0",
    ]


def test_whole_players_can_vary_without_any_players_besides() -> None:
    players = [{"model": "scripted/all-keep"}, {"model": "scripted/constant-share", "share": 0.3}]
    scenario = scenario_from({"name": "x", "vary": {"players": players}, "seeds": [0]})
    assert [spec.condition.players for spec in runs(scenario)] == [AllKeep(), ConstantShare(share=0.3)]
    assert names(scenario) == ["all-keep--seed-0", "constant-share--share-0.3--seed-0"]


def test_models_and_policies_can_vary_together() -> None:
    scenario = grid({"players.model": ["openai/a", "scripted/all-keep", "openai/b"]}, players={"temperature": 0.1})
    assert [spec.condition.players for spec in runs(scenario)] == [
        ModelPlayer(model="openai/a", temperature=0.1),
        AllKeep(),
        ModelPlayer(model="openai/b", temperature=0.1),
    ]


def test_a_model_file_is_called_by_its_stem_where_that_tells_it_from_others() -> None:
    files = ["local//models/hot/Phi-3.gguf", "local/small.gguf"]
    assert names(grid({"players.model": files})) == ["phi-3--seed-0", "small--seed-0"]
    alike = ["local//models/hot/phi.gguf", "local//models/cold/phi.gguf"]
    assert names(grid({"players.model": alike})) == [
        "local-models-hot-phi.gguf--seed-0",
        "local-models-cold-phi.gguf--seed-0",
    ]


def test_colliding_names_are_written_in_long() -> None:
    providers = {"vllm": {"base_url": "http://localhost:8000/v1"}}
    same = grid({"players.model": ["openai/m", "vllm/m"]}, providers=providers)
    assert names(same) == ["openai-m--seed-0", "vllm-m--seed-0"]


_VALUE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=150)
_SETTINGS = st.dictionaries(st.sampled_from(["a.b", "b", "c.b", "players", "players.model"]), _VALUE, max_size=4)


@given(
    st.lists(
        st.tuples(st.text(max_size=150).map(lambda name: f"p/{name}"), _SETTINGS),
        max_size=5,
        unique_by=lambda item: json.dumps(item, sort_keys=True),
    )
)
def test_names_of_runs_are_unique_and_safe_for_any_settings(conditions: list[tuple[str, dict[str, Any]]]) -> None:
    found = condition_names(conditions)
    assert len(set(found)) == len(found) == len(conditions)
    for name in found:
        assert len(name) <= MAX_CHARS
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
        assert name[0].isalnum() or name[0] == "_"
        assert ".." not in name


# --- identity ------------------------------------------------------------------------------------------------------


def condition(**others: Any) -> Condition:
    return runs(scenario_from({"name": "x", "players": {"model": "openai/a"}, **others}))[0].condition


def test_the_identity_is_json_from_which_the_condition_can_be_made() -> None:
    found = identity(condition())
    assert json.loads(json.dumps(found)) == found
    assert Condition.model_validate(found) == condition()
    assert found.keys() == Condition.model_fields.keys() - {
        "groups"
    }  # as before there were any, so digests are the same
    assert identity(condition(groups={"number": 2})).keys() == Condition.model_fields.keys()


def test_the_digest_hangs_on_condition_and_seed_alone() -> None:
    first = digest(condition(), seed=0)
    others = {"name": "y", "description": "d", "providers": {"openai": {"concurrency": 3}}, "seeds": [0]}
    assert digest(condition(**others), seed=0) == first
    assert digest(condition(agents=12, game={"multiplier": 2.0}), seed=0) == first
    assert digest(condition(), seed=1) != first
    assert digest(condition(agents=10), seed=0) != first
    assert len(first) == 64


def test_an_own_reputation_counts_only_where_it_is_shown() -> None:
    """So that logs from before there was the setting keep their digests."""
    kinds = [{"kind": "standing"}, {"kind": "standing", "shows_own": False}, {"kind": "standing", "shows_own": True}]
    without, hidden, shown = (condition(observation=kind) for kind in kinds)
    assert "shows_own" not in identity(without)["observation"]
    assert digest(without, seed=0) == digest(hidden, seed=0) != digest(shown, seed=0)
    assert Condition.model_validate(identity(shown)) == shown


def test_the_digest_does_not_hang_on_where_a_prompt_folder_lies(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "mine").mkdir(parents=True)
    first, second = (condition(prompts=str(tmp_path / place / "mine")) for place in ("a", "b"))
    assert first != second
    assert digest(first, seed=0) == digest(second, seed=0)


# --- the rest ------------------------------------------------------------------------------------------------------


def test_the_json_schema_knows_what_only_files_may_hold() -> None:
    schema = json_schema()
    assert schema["required"] == ["name"]
    assert schema["additionalProperties"] is False
    assert {"extends", "players", "vary", "seeds"} <= schema["properties"].keys()
    assert json.loads(json.dumps(schema)) == schema


def test_every_setting_says_what_it_is_and_each_number_its_unit() -> None:
    schema = json_schema()
    account = schema["properties"]["providers"]["anyOf"][0]["additionalProperties"]
    for name, part in {**schema["$defs"], "Scenario": schema, "ProviderSettings": account}.items():
        for setting, value in part["properties"].items():
            if setting == "kind" or "const" in value:
                continue
            assert value.get("description"), f"{name}.{setting}: has no docstring"
            kinds = json.dumps([value.get("type"), value.get("anyOf"), value.get("oneOf")])
            is_number = setting not in ("edges", "providers") and ('"number"' in kinds or '"integer"' in kinds)
            assert "unit" in value or not is_number, f"{name}.{setting}: agentsim/scenario/units.py has no unit"


def test_reading_scenarios_loads_no_client_library_and_no_dataframes() -> None:
    heavy = "('openai', 'anthropic', 'pandas', 'numpy')"
    code = f"import sys, agentsim.scenario.loading; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "settings",
    [
        ["game.rounds=2000"],
        ["game.multiplier=1e300", "game.rounds=2"],
        ["game.endowment=1e308"],
        ["game.continuation=0.999", "game.rounds=900", "seeds=0-9"],
    ],
)
def test_numbers_that_could_overflow_are_refused(settings: list[str]) -> None:
    given = {"name": "x", "players": {"model": "scripted/all-give"}}
    with pytest.raises(ScenarioError, match=r"more than can be counted.*use fewer game\.rounds"):
        runs(scenario_from(given, sets=settings))


@pytest.mark.parametrize("seed", [0, 7])
def test_one_seed_is_a_number(seed: int) -> None:
    data = {"name": "one", "players": {"model": "scripted/all-give"}, "seeds": seed}
    assert scenario_from(data).seeds == (seed,)


def test_the_shipped_words_for_json_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("name: s\nprompts: default-json\nplayers: {model: openai/m, answer_format: json}\nseeds: 0\n")
    scenario = load_scenario(path)
    assert prompt_set(scenario).digest == prompt_set(scenario.model_copy(update={"prompts": "default"})).digest
    with pytest.raises(ScenarioError, match=r"set players\.answer_format: json"):
        prompt_set(load_scenario(path, sets=["players.answer_format=text"]))


def test_the_names_of_prompt_sets_are_those_that_are_shipped() -> None:
    assert {*SHIPPED_PROMPTS} == {*sets.SHIPPED, "default-json"}


def test_shipped_prompt_sets_are_a_factor_whose_names_are_in_the_runs_and_conditions() -> None:
    data = {"name": "s", "players": {"model": "openai/m"}, "seeds": 0, "vary": {"prompts": ["default", "german"]}}
    found = {spec.name: spec.condition for spec in runs(scenario_from(data))}
    assert list(found) == ["m--prompts-default--seed-0", "m--prompts-german--seed-0"]
    assert [identity(condition)["prompts"] for condition in found.values()] == ["default", "german"]
    with pytest.raises(ScenarioError, match=r"'germain' is no folder; write default, .*german, neutral"):
        scenario_from({**data, "vary": {"prompts": ["default", "germain"]}})
