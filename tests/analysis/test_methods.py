"""What a methods section is told, from logs alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import agentsim
from agentsim.analysis.families import Look
from agentsim.analysis.methods import methods
from agentsim.analysis.served import served
from agentsim.errors import LogError
from agentsim.providers.base import PLAIN, Call, Completion, Prompt, Usage
from tests.commands import run_command
from tests.orchestrator.test_study import Fake

RULES = {"name": "small", "agents": 4, "generations": 1, "game": {"kind": "donor", "rounds": 2}, "seeds": [0, 3]}


def test_what_answered_is_told_by_group(tmp_path: Path) -> None:
    scenario = agentsim.scenario_from({**RULES, "players": {"model": "openai/gpt-4o"}})
    study = agentsim.load(agentsim.run(scenario, results=tmp_path, provider=Fake()).folder)
    told = methods(study)
    assert told.tests.empty and "No groups were compared." in told.sentences
    [row] = told.table.to_dict("records")
    start = next(iter(study.started.values()))
    assert row["seeds"] == "0, 3" and row["n_runs"] == 2 and row["n_replies"] == len(study.replies)
    assert row["prompts"] == f"default {start.prompts_digest}"
    text = " ".join(told.sentences)
    assert "openai/gpt-4o was asked" in text and start.prompts_digest in text
    assert f"of {len(study.replies)} replies" in text and "stated no system fingerprint" in text


class Said(Fake):
    """A model behind servers that say which configuration answered, and what came from their caches."""

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        completion = await super().complete(prompt, call)
        n, usage = self.n_calls, {"input_tokens": 100, "cached_tokens": 40, "output_tokens": 3}
        said = {"fingerprint": "fp_new" if n > 5 else "fp_old"} if n % 4 else {}
        return completion.model_copy(update={**said, "usage": Usage(**usage if n % 2 else {"input_tokens": 100})})


def test_snapshots_fingerprints_and_caches_are_kept_and_told(tmp_path: Path) -> None:
    scenario = agentsim.scenario_from({**RULES, "players": {"model": "openai/gpt-4o"}})
    study = agentsim.load(agentsim.run(scenario, results=tmp_path, provider=Said()).folder)
    assert set(study.replies["fingerprint"].dropna()) == {"fp_old", "fp_new"} and study.replies["fingerprint"].hasnans
    assert all("fp_new" in said for said in study.runs["fingerprints"])
    found = served(study)
    assert found["n_replies"].sum() == len(study.replies) and set(found["model"]) == {"gpt-4o"}
    assert found["cached_tokens"].sum() == 40 * study.replies["cached_tokens"].notna().sum()  # of those that say it
    assert found["n_cache_said"].sum() == study.replies["cached_tokens"].notna().sum() < len(study.replies)
    text = " ".join(methods(study).sentences)
    assert "System fingerprints: fp_new, fp_old; " in text and "replies came without one" in text
    assert "how many tokens came from a cache is not known" in text  # some replies did not say


@pytest.mark.parametrize(("cached", "words"), [(0.5, "as the price list says for"), (None, "No own price of tokens")])
def test_how_tokens_of_caches_were_priced_is_told(cached: float | None, words: str, tmp_path: Path) -> None:
    scenario = agentsim.scenario_from({**RULES, "players": {"model": "openai/gpt-4o"}})
    study = agentsim.load(agentsim.run(scenario, results=tmp_path, provider=Said()).folder)
    account = {"price": {"input": 2.0, "cached": cached, "output": 8.0, "source": "a test"}}
    for key, started in study.started.items():
        study.started[key] = started.model_copy(update={"accounts": {"openai/gpt-4o": account}})  # type: ignore[index]
    text = " ".join(methods(study).sentences)
    assert words in text and ("openai/gpt-4o: they were priced as any other" in text) == (cached is None)


def test_the_sentences_say_what_was_done_and_nothing_else(tmp_path: Path) -> None:
    varied = {"vary": {"players.model": ["scripted/random", "scripted/all-keep", "scripted/constant-share"]}}
    scenario = agentsim.scenario_from({**RULES, **varied, "seeds": list(range(5))})
    study = agentsim.load(agentsim.run(scenario, results=tmp_path).folder)
    plain = methods(study, agentsim.compare(study))
    text = " ".join(plain.sentences)
    assert "3 groups by model" in text and "permutation, exact" in text and "corrected over 3 lines" in text
    for word in ("look", "quivalence", "Bayes", "SHA-256", "paired", "random arrangements", "growth"):
        assert word not in text
    look = Look(2, (1, 2, 3), "pocock")
    much = methods(study, agentsim.compare(study, design="paired", look=look, equivalence=1.5, course=True))
    text = " ".join(much.sentences)
    for words in (
        "look 2 of 3, at 2, 5, 8 runs",
        "pocock",
        "within a ratio of 1.5",
        "sign-flip",
        "growth of the logarithm",
    ):
        assert words in text, words
    assert f"corrected over {len(much.tests)} lines" in text and {"p_looked", "equivalence"} <= set(much.tests)


def test_scripted_players_are_said_to_be_scripted(tmp_path: Path) -> None:
    scenario = agentsim.scenario_from({**RULES, "players": {"model": "scripted/all-keep"}})
    folder = agentsim.run(scenario, results=tmp_path).folder
    done = run_command("methods", folder, cwd=tmp_path)
    assert done.returncode == 0 and "a scripted policy (scripted/all-keep) under seeds 0, 3" in done.stdout
    assert pd.read_csv(folder / "methods" / "methods.csv")["n_runs"].tolist() == [2]
    assert "No groups were compared." in (folder / "methods" / "methods.txt").read_text()
    refused = run_command("methods", folder, "--equivalence", "1.25", cwd=tmp_path)
    assert refused.returncode == 2 and "nothing to compare by 'model'" in refused.stderr


def test_without_a_complete_run_there_is_nothing_to_report(tmp_path: Path) -> None:
    scenario = agentsim.scenario_from({**RULES, "players": {"model": "scripted/all-keep"}})
    study = agentsim.load(agentsim.run(scenario, results=tmp_path).folder)
    study.runs["status"] = "interrupted"
    with pytest.raises(LogError, match="no run is complete"):
        methods(study)
