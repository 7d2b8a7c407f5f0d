"""A rule, policy, provider, measure or prompt set of a user's own is one file beside the scenario, or one package."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random
from subprocess import CompletedProcess
from typing import Any, Literal

import pandas as pd
import pytest
import typer.main

import agentsim
from agentsim.cli import app
from agentsim.core.facts import Frozen, Observed
from agentsim.core.observation import Observation
from agentsim.core.pairing import Pairing, Schedule
from agentsim.core.registry import REGISTRY
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import Top
from agentsim.errors import LogError, PluginError, ScenarioError
from agentsim.log.reading import read_log
from tests.commands import run_command

RULES = '''\
"""Rules of mine."""
from typing import ClassVar, Literal

import agentsim
from agentsim.core.pairing import Pairing
from agentsim.core.policies import Policy, Traits


@agentsim.register
class Neighbours(Pairing):
    """Agents sit in a line and meet the one beside them; roles alternate."""

    kind: Literal["neighbours"] = "neighbours"
    shift: int = 0
    sentence: ClassVar[str] = "You meet the same agent in each round, shifted by {{ rule.shift }}."

    def schedule(self, agents, rounds, rng, *, size=2):
        pairs = tuple(zip(agents[0::2], agents[1::2], strict=True))
        swapped = tuple((recipient, donor) for donor, recipient in pairs)
        return tuple(swapped if index % 2 else pairs for index in range(rounds))


@agentsim.register
class Miser(Policy):
    """Gives a hundredth."""

    model: Literal["scripted/miser"] = "scripted/miser"

    @property
    def traits(self):
        return Traits(order=0, is_nice=True, is_forgiving=True, is_stochastic=False, is_graded=False)

    def decide(self, view, draw):
        return 0.01

    def decide_many(self, views, draw):
        raise NotImplementedError
'''
SCENARIO = """\
name: mine
agents: 4
generations: 2
game: {kind: donor, rounds: 4}
pairing: {kind: neighbours}
players: {model: scripted/miser}
seeds: [0]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_rules.py").write_text(RULES)
    (tmp_path / "s.yaml").write_text(SCENARIO)
    return tmp_path


def forget() -> None:
    for member in list(REGISTRY):
        REGISTRY.remove(member)
    sys.modules.pop("agentsim_plugin_my_rules", None)


def command(folder: Path, *words: str, plugin: bool = True) -> CompletedProcess[str]:
    """Run a command as in a process of its own, which knows nothing of what others read."""
    forget()
    return run_command(*words, *(("--plugin", "my_rules.py") if plugin else ()), cwd=folder)


def test_a_file_beside_the_scenario_brings_rules_and_policies_and_its_log_states_it(folder: Path) -> None:
    checked = command(folder, "check", "s.yaml")
    assert checked.returncode == 0, checked.stderr
    assert "shifted by 0" not in checked.stdout and "neighbours" in checked.stdout
    assert command(folder, "run", "s.yaml", "--quiet").returncode == 0
    [log] = folder.glob("results/mine/*/log.jsonl")
    started = json.loads(log.read_text().splitlines()[0])
    [plugin] = started["plugins"]
    assert plugin["name"] == "my_rules" and plugin["source"] == "file" and len(plugin["digest"]) == 64
    assert plugin["gives"] == ["pairing neighbours", "policy scripted/miser"]
    assert started["condition"]["pairing"] == {"kind": "neighbours", "shift": 0}
    replayed = command(folder, "replay", "results/mine")
    assert replayed.returncode == 0 and "exact" in replayed.stdout
    assert command(folder, "show", "results/mine").returncode == 0
    closed = log.read_bytes()
    assert command(folder, "run", "s.yaml", "--quiet").returncode == 0
    assert log.read_bytes() == closed  # it is known to be complete by the same code


def test_agents_are_told_a_plugins_rule_in_its_own_sentence(folder: Path) -> None:
    model = ("--model", "openai/any", "--set", "pairing.shift=3")
    shown = command(folder, "prompts", "show", "s.yaml", *model)
    assert "You meet the same agent in each round, shifted by 3." in shown.stdout, shown.stderr
    (folder / "my_rules.py").write_text(RULES.replace("    sentence:", "    said:"))
    untold = command(folder, "check", "s.yaml", *model)
    assert untold.returncode == 2 and "rules/pairing/neighbours.md: is missing" in untold.stderr
    assert "`sentence` in the class Neighbours" in " ".join(untold.stderr.split())
    place = folder / "prompts" / "default" / "rules" / "pairing"
    place.mkdir(parents=True)
    (place / "neighbours.md").write_text("You meet one agent only.{# rule.shift #}")
    assert "You meet one agent only." in command(folder, "prompts", "show", "s.yaml", *model).stdout
    elsewhere = command(folder, "check", "s.yaml", *model, "--set", "prompts=neutral")
    said = " ".join(elsewhere.stderr.split())
    assert elsewhere.returncode == 2 and "or beside the plug-in, as prompts/neutral/rules/pairing/neighbours.md" in said
    (place / "neighbours.md").write_text("You meet one agent only.")
    unsaid = command(folder, "check", "s.yaml", *model)
    assert unsaid.returncode == 2 and "does not speak of `rule.shift`" in unsaid.stderr


def test_without_the_plugin_each_command_names_what_is_missing_and_how_to_bring_it_back(folder: Path) -> None:
    assert command(folder, "run", "s.yaml", "--quiet").returncode == 0
    refused = command(folder, "run", "s.yaml", "--quiet", plugin=False)
    assert refused.returncode == 2
    said = " ".join(refused.stderr.split())
    assert "pairing.kind: 'neighbours' is unknown; allowed: alternating" in said and "--plugin FILE" in said
    for words in (["show"], ["compare"], ["report"], ["export"], ["figures"]):
        refused = command(folder, *words, "results/mine", plugin=False)
        said = " ".join(refused.stderr.split())
        assert refused.returncode == 2, words
        assert "pairing 'neighbours', policy 'scripted/miser' of the plug-in 'my_rules', which is not here" in said
        assert "add --plugin my_rules.py" in said
    replayed = command(folder, "replay", "results/mine", plugin=False)
    assert replayed.returncode == 1 and "add --plugin my_rules.py" in " ".join(replayed.stdout.split())
    with pytest.raises(LogError, match="of the plug-in 'my_rules', which is not here"):
        agentsim.load(folder / "results" / "mine")


def test_a_changed_plugin_is_a_changed_experiment(folder: Path) -> None:
    assert command(folder, "run", "s.yaml", "--quiet").returncode == 0
    (folder / "my_rules.py").write_text(RULES + "\n# another word\n")
    refused = command(folder, "run", "s.yaml", "--quiet")
    assert refused.returncode == 2
    assert "the plug-in 'my_rules' has changed since its log was begun" in " ".join(refused.stderr.split())
    replayed = command(folder, "replay", "results/mine")
    assert replayed.returncode == 0 and "my_rules' has changed since it was played" in replayed.stdout
    assert command(folder, "run", "s.yaml", "--quiet", "--new").returncode == 0
    (folder / "my_rules.py").write_text(RULES)
    assert command(folder, "run", "s.yaml", "--quiet", "--seeds", "0").returncode in (0, 2)


def test_another_plugin_that_is_only_read_changes_nothing(folder: Path) -> None:
    assert command(folder, "run", "s.yaml", "--quiet").returncode == 0
    other = RULES.replace("neighbours", "others").replace("miser", "other").replace("Neighbours", "Others")
    (folder / "other_rules.py").write_text(other.replace("Miser", "Other"))
    both = command(folder, "run", "s.yaml", "--quiet", "--plugin", "other_rules.py")
    assert both.returncode == 0, both.stderr


def test_errors_and_the_schema_know_a_plugins_rules(folder: Path) -> None:
    near = command(folder, "check", "s.yaml", "--set", "pairing.kind=neighbors")
    assert near.returncode == 2 and "did you mean 'neighbours'?" in near.stderr
    wrong = command(folder, "check", "s.yaml", "--set", "pairing.shift=many")
    assert wrong.returncode == 2 and "pairing.shift: 'many' is not allowed; it must be a whole number" in wrong.stderr
    unknown = command(folder, "check", "s.yaml", "--set", "pairing.shfit=1")
    assert unknown.returncode == 2 and "unknown key 'shfit', did you mean 'shift'?" in unknown.stderr
    schema = json.loads(command(folder, "schema").stdout)
    assert "Neighbours" in schema["$defs"] and "Miser" in schema["$defs"]
    forget()
    assert "Neighbours" not in json.loads(run_command("schema", cwd=folder).stdout)["$defs"]


def test_what_there_is_can_be_listed_with_settings_and_where_it_is_from(folder: Path) -> None:
    wide = {"COLUMNS": "300"}
    forget()
    listed = run_command("list", "rules", "--plugin", "my_rules.py", cwd=folder, environ=wide).stdout
    [own] = [line for line in listed.splitlines() if "pairing: neighbours" in line]
    assert "shift=0" in own and "my_rules.py" in own and "Agents sit in a line" in own
    [shipped] = [line for line in listed.splitlines() if "observation: trace" in line]
    assert "depth=3" in shipped and "agentsim" in shipped
    for what, name in (
        ("games", "donor"),
        ("policies", "scripted/miser"),
        ("providers", "anthropic"),
        ("prompts", "default-json"),
        ("measures", "gini"),
    ):
        assert name in run_command("list", what, cwd=folder, environ=wide).stdout, what


def test_every_command_that_reads_scenarios_or_logs_takes_plugins() -> None:
    top = typer.main.get_command(app)
    groups: dict[str, Any] = dict(top.commands)  # type: ignore[attr-defined]
    for name in ("models", "examples", "init"):  # read neither
        groups.pop(name, None)
    commands = {**groups, **groups.pop("prompts").commands}
    commands.pop("prompts")
    for name, each in commands.items():
        assert any("--plugin" in option.opts for option in each.params), name


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("import nothing_of_that_name", "my_rules.py:1: ModuleNotFoundError"),
        ("x = 1\nx = (", "my_rules.py:2: SyntaxError"),
        ("x = 1", "registers nothing; write @agentsim.register"),
        (RULES.replace('"neighbours"', '"released"'), "pairing 'released' is taken by agentsim itself"),
        (RULES.replace('kind: Literal["neighbours"] = "neighbours"', ""), "Neighbours: has no name; write `kind:"),
        (RULES.replace("def schedule", "def plan"), "Neighbours: does not define schedule"),
        (RULES.replace("scripted/miser", "miser"), "'miser' cannot name a policy"),
        (RULES + "\nagentsim.register(3)", "3 cannot be added"),
    ],
)
def test_a_file_that_cannot_be_read_or_added_is_one_clear_message(folder: Path, text: str, fragment: str) -> None:
    (folder / "my_rules.py").write_text(text)
    refused = command(folder, "check", "s.yaml")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert fragment in " ".join(refused.stderr.split())


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    refused = run_command("check", "s.yaml", "--plugin", "none.py", cwd=folder)
    assert refused.returncode == 2 and "none.py: cannot be read" in refused.stderr


# --- in Python ------------------------------------------------------------------------------------------------------


class Blind(Observation):
    """Shows nothing, at length."""

    kind: Literal["blind"] = "blind"

    @property
    def n_acts(self) -> int:
        return 0

    def observe(self, history: Any, **place: Any) -> Observed:
        return Observed()


class Ends(Pairing):
    """The first meets the last."""

    kind: Literal["ends"] = "ends"

    def schedule(self, agents: Any, rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        half = len(agents) // 2
        return (tuple(zip(agents[:half], reversed(agents[half:]), strict=True)),) * rounds


def test_a_class_is_taken_by_name_and_as_a_value_once_it_is_registered() -> None:
    with pytest.raises(ValueError, match=r"Blind is no observation that is known here; call agentsim.register"):
        SocietyRules(observation=Blind())
    assert agentsim.register(Blind) is Blind and agentsim.register(Ends) is Ends
    rules = SocietyRules.model_validate({"observation": {"kind": "blind"}, "pairing": Ends()}, strict=True)
    assert rules.observation == Blind()
    assert SocietyRules.model_validate_json(rules.model_dump_json()) == rules
    assert rules.model_dump()["pairing"] == {"kind": "ends"}
    agentsim.register(Blind)  # as when a cell of a notebook is run again
    with pytest.raises(PluginError, match="ships with agentsim"):
        agentsim.register(Top)
    with pytest.raises(PluginError, match="is no rule, game or policy"):
        agentsim.register(type("Odd", (Frozen,), {"__module__": __name__}))


def test_a_prompt_set_is_named_as_those_that_ship(folder: Path) -> None:
    words = folder / "my_words"
    words.mkdir()
    shipped = Path(agentsim.__file__).parent / "prompts" / "default"
    for path in shipped.rglob("*.md"):
        place = words / path.relative_to(shipped)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path.read_text())
    with pytest.raises(ScenarioError, match="is no folder"):
        agentsim.scenario_from({"name": "x", "players": {"model": "scripted/random"}, "prompts": "plain"})
    agentsim.register(words, name="plain")
    scenario = agentsim.scenario_from({"name": "x", "players": {"model": "scripted/random"}, "prompts": "plain"})
    assert scenario.prompts == str(words)
    with pytest.raises(PluginError, match="is no folder of a prompt set"):
        agentsim.register(folder / "nothing")


def test_a_measure_of_ones_own_is_a_column_of_the_summary(tmp_path: Path) -> None:
    scenario = agentsim.scenario_from(
        {"name": "small", "agents": 4, "generations": 1, "players": {"model": "scripted/constant-share"}, "seeds": 2}
    )
    study = agentsim.load(agentsim.run(scenario, results=tmp_path).folder)

    def n_met(study: agentsim.Study) -> pd.DataFrame:
        """Return the number of encounters."""
        return study.encounters.groupby(["study", "run"]).size().rename("n_met").reset_index()

    agentsim.register(n_met)
    assert agentsim.summary(study)["n_met"].tolist() == [48]

    def gini(study: agentsim.Study) -> pd.DataFrame:
        return study.runs[["study", "run"]].assign(gini=1.0)

    agentsim.register(gini)
    with pytest.raises(PluginError, match="'gini' returns gini, which the summary has"):
        agentsim.summary(study)


def test_a_provider_of_ones_own_answers_under_its_own_account(folder: Path) -> None:
    (folder / "my_rules.py").write_text(
        RULES
        + """
from agentsim.providers.dialects.dialect import Dialect, Opened
from agentsim.testing import FunctionProvider

agentsim.register(
    Dialect(
        name="parrot",
        open=lambda opening: Opened(FunctionProvider(lambda prompt: "Answer: 1")),
        unsupported=lambda sampling: [],
        accounts={"parrot": {}},
        serves_here=True,
    )
)
"""
    )
    played = command(folder, "run", "s.yaml", "--quiet", "--model", "parrot/any")
    assert played.returncode == 0, played.stderr
    [log] = folder.glob("results/mine/*/")
    started = read_log(log).records[0]
    assert [plugin.gives for plugin in started.plugins] == [  # type: ignore[union-attr]
        ("pairing neighbours", "provider parrot")
    ]
    assert agentsim.load(folder / "results" / "mine").encounters["amount"].tolist()[:2] == [1.0, 1.0]
    unknown = command(folder, "check", "s.yaml", "--set", "providers={x: {dialect: parot, base_url: http://a/v1}}")
    assert "did you mean 'parrot'?" in unknown.stderr
