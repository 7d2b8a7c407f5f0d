"""What comes before encounters, and networks that change, go on after a kill, replay, and are in tables and pages."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

import agentsim
from agentsim.core.facts import Connected, Moved, SatOut
from agentsim.log.reading import read_log
from agentsim.providers.base import Prompt
from agentsim.report.content import missing
from agentsim.view.unfolding import Unfolding
from tests.orchestrator.test_study import Fake, facts, log_of, play, said

STUDIES: Final[dict[str, dict[str, Any]]] = {
    "donors": {
        "agents": 8,
        "generations": 2,
        "game": {"kind": "donor", "rounds": 4, "games": 2, "choice": {}, "refusal": {"cost": 1, "known": "all"}},
        "pairing": {"kind": "random"},
        "observation": [{"kind": "history", "depth": 1}, {"kind": "memory", "depth": 2}],
    },
    "group": {
        "agents": 5,
        "generations": 2,
        "game": {
            "kind": "public_goods",
            "group": 5,
            "rounds": 4,
            "talk": {"rounds": 1, "max_chars": 80},
            "punishment": {},
            "institutions": "choice",
            "ostracism": {"rounds": 2, "share": 0.3},
            "refusal": {"instead": 2},
        },
        "observation": {"kind": "memory", "depth": 2},
    },
    "network": {
        "agents": 6,
        "generations": 2,
        "game": {"kind": "donor", "rounds": 3, "games": 4, "refusal": {"ends": "game", "instead": 1}},
        "pairing": {"kind": "network", "rewire": {"probability": 0.5, "before": "games"}},
        "observation": {"kind": "history", "reach": "from_neighbours"},
    },
}


def answered(prompt: Prompt) -> str:
    """Return a reply that depends on the prompt alone: one of the forms that it asks for, or nothing readable."""
    draw = Random(hashlib.sha256(prompt.model_dump_json().encode()).digest())
    question = next(message.content for message in reversed(prompt.messages) if message.role == "user")
    if draw.random() < 1 / 5:
        return "I had rather not say."
    forms = re.findall(r"^Answer: .*$", question, re.MULTILINE)
    if not forms:
        return (
            f"My {'message:' if 'My message:' in question else 'strategy will be'} to give {draw.randrange(9)} of 10."
        )
    names = re.findall(r"\b\d+_\d+\b", prompt.messages[-1].content) or ["1_1"]
    form = draw.choice(forms).replace("NAME with NUMBER, NAME with NUMBER", f"{names[-1]} with NUMBER")
    return str(form).replace("NUMBER", "1")


@pytest.mark.parametrize("name", STUDIES)
def test_a_log_cut_anywhere_goes_on_to_the_same_facts_and_pays_for_nothing_twice(name: str, tmp_path: Path) -> None:
    rules = STUDIES[name] | {"on_invalid": {"attempts": 2, "stop_after": None}}
    result = play(tmp_path / "whole", Fake(text=answered), **rules)
    records = log_of(result)
    assert result.is_complete and all(state.is_exact for state in agentsim.replay(result.folder))
    reasons = {record.reason for record in records if isinstance(record, SatOut)}
    expected = {
        "donors": {"refused", "was_refused", "missing"},
        "group": {"refused", "excluded", "alone", "missing"},
        "network": {"refused", "was_refused", "parted", "missing"},
    }
    assert reasons >= expected[name], reasons
    assert len([record for record in records if isinstance(record, Connected)]) == (8 if name == "network" else 0)
    [folder] = [path.parent for path in result.folder.glob("*/log.jsonl")]
    data, rng = (folder / "log.jsonl").read_bytes(), Random(0)
    for number, offset in enumerate(sorted(rng.randrange(len(data)) for _ in range(2))):
        cut = tmp_path / str(number) / result.folder.name / folder.name
        cut.mkdir(parents=True)
        (cut / "log.jsonl").write_bytes(data[:offset])
        n_stored, fake = len(said(read_log(cut).records)), Fake(text=answered)
        resumed = play(tmp_path / str(number), fake, **rules)
        assert facts(log_of(resumed)) == facts(records) and said(log_of(resumed)) == said(records)
        assert fake.n_calls == len(said(records)) - n_stored
    study = agentsim.load(result.folder)
    assert len(study.sat_out) == len([record for record in records if isinstance(record, SatOut)])
    stages = set(study.moves["stage"])
    assert stages >= {record.stage for record in records if isinstance(record, Moved)} and "refuse" in stages
    chained = study.resources["resources"].notna().all() and study.agents["score"].notna().all()
    assert chained and study.generations["n_missed"].sum() > 0
    assert study.runs["maximum"].isna().all() and study.generations["maximum"].isna().all()
    voices = study.moves[study.moves["stage"].isin(["choose", "exclude"])]["option"].isna().sum()
    assert any("choices and votes" in one.sentence for one in missing(study)) == bool(voices)
    half = tmp_path / "half"
    half.mkdir()
    (half / "log.jsonl").write_bytes(data[: data.index(b'"type":"game_ended"')])
    seen = Unfolding(half)
    for _ in seen.refresh():
        pass
    assert any("not foreseen" in str(sentence) for sentence in seen.message(None)["waits"])
    page = agentsim.write_report(study, tmp_path / "report.html")
    assert "</html>" in Path(page).read_text()
