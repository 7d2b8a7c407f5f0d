"""What the page is sent: the same numbers as everywhere, nothing to those who must not ask, and no harm to a log."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import agentsim
from agentsim.analysis.foreign import verbatim
from agentsim.view.comparing import compared
from agentsim.view.guard import HEADERS
from agentsim.view.server import PERIOD_S
from agentsim.view.study_watch import StudyWatch
from agentsim.view.unfolding import Unfolding
from tests.games import play

Make = Callable[..., TestClient]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentsim.view.server.PERIOD_S", PERIOD_S / 1000)


def _event(client: TestClient, path: str, **query: str) -> dict[str, Any]:
    """Return the last event of a stream."""
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    data = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    found: dict[str, Any] = json.loads(data[-1])
    return found


def test_numbers_are_those_of_the_frames(client: Make, played: Path) -> None:
    study, sent = agentsim.load(played), _event(client(), "/live/study", study="hostile")
    assert sent["replies"] == len(study.replies) and sent["again"] == study.runs["n_asked_again"].sum() > 0
    assert (
        sent["lost"]
        == study.runs["n_missed"].sum()
        + study.agents["strategy"].isna().groupby([study.agents["run"], study.agents["agent"]]).first().sum()
        > 0
    )
    assert sent["answered"] == sent["questions"]
    assert sent["counts"] == {"complete": 4} and sent["all"] == 4 and not sent["playing"]
    assert sent["money"]["usd"] == pytest.approx(study.runs["cost_usd"].sum(), abs=1e-6)
    assert sent["money"]["unpriced"] == study.runs["cost_usd"].isna().sum() == 2
    for condition in sent["conditions"]:
        means = study.generations[study.generations["run"].str.startswith(condition["name"] + "--")]
        expected = means.groupby("generation")["mean_final_resources"].mean()
        assert [mean for mean, *_ in condition["series"]] == pytest.approx(expected.tolist(), rel=1e-3)
        assert condition["final"]["mean"] == pytest.approx(expected.iloc[-1], rel=1e-3)
    assert {cell[2] for cell in sent["cells"].values()} == {"complete"}


def test_a_society_is_sent_one_generation_at_a_time(client: Make, played: Path) -> None:
    study = agentsim.load(played)
    run = study.runs["run"].iloc[0]
    for number in (1, 2):
        sent = _event(client(), "/live/run", study="hostile", run=run, generation=str(number))
        met = study.encounters[(study.encounters["run"] == run) & (study.encounters["generation"] == number)]
        assert {cell[4] for cell in sent["cells"].values()} == set(met["key"])
        lost = {cell[4] for cell in sent["cells"].values() if cell[0] == "lost"}
        assert lost == set(met.loc[met["problem"].notna(), "key"])
        alive = study.agents[(study.agents["run"] == run) & (study.agents["generation"] == number)]
        assert {agent["id"] for agent in sent["agents"]} == set(alive["agent"]) and sent["generation"] == number
        scores = dict(zip(alive["agent"], alive["score"], strict=True))
        assert {agent["id"]: agent["score"] for agent in sent["agents"]} == pytest.approx(scores)


def test_a_question_is_shown_whole(client: Make, played: Path) -> None:
    study = agentsim.load(played)
    asked = study.replies[study.replies["attempt"] == 2].iloc[0]
    found = client().get("/question", params={"study": "hostile", "run": asked["run"], "key": asked["key"]}).json()
    first, second = found["attempts"]
    assert [first["attempt"], second["attempt"]] == [1, 2]
    assert second["text"] == verbatim(asked["text"])
    assert "<script>window.pwned = 1</script>" in second["thoughts"] and len(second["prompt"]) > len(first["prompt"])
    assert "\u202e" not in json.dumps(found) and found["said"]


def test_the_comparison_is_agentsims_own(played: Path) -> None:
    found, expected = compared(played, ""), agentsim.compare(agentsim.load(played), by="model")
    assert found["by"] == "model" and [pair["verdict"] for pair in found["pairs"]] == list(expected.table["verdict"])
    assert any("cannot" in note for note in found["notes"])
    assert found["pairs"][0]["ratio"] == pytest.approx(expected.table["ratio"].iloc[0], rel=1e-3)
    assert not (played / ".cache").exists()
    assert "problem" in compared(played, "seeds")


@pytest.mark.parametrize("pairing", [{"kind": "alternating"}, {"kind": "network", "graph": "ring"}])
def test_what_waits_is_what_the_rules_say(pairing: dict[str, Any], tmp_path: Path) -> None:
    """Of a log that ends in the middle: who is asked now are those for whom nobody earlier is missing."""
    rules = {"agents": 6, "generations": 2, "pairing": pairing, "game": {"kind": "donor", "rounds": 4}}
    scenario = agentsim.scenario_from({"name": "cut", **rules, "players": {"model": "scripted/random"}, "seeds": [3]})
    [path] = agentsim.run(scenario, results=tmp_path).folder.glob("*/log.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    facts = [json.loads(line) for line in lines]
    end = next(place for place, fact in enumerate(facts) if fact.get("generation") == 2 and fact.get("round") == 2)
    path.write_bytes(b"".join(lines[: end + 1]))
    society = Unfolding(path.parent)
    list(society.refresh())
    later = {fact["key"] for fact in facts[end + 1 :] if "donor" in fact}
    cells = society.cells(None)
    open_cells = {cell[4]: cell for cell in cells.values() if cell[0] in ("asked", "waits")}
    assert set(open_cells) == later
    for cell in open_cells.values():
        game, round, donor = cell[4].split("/")[1:]
        members = {donor, cell[3]}
        earlier = [
            one
            for one in open_cells.values()
            if one[4].split("/")[1] == game
            and one[4].split("/")[2] < round
            and members & {one[4].split("/")[3], one[3]}
        ]
        assert (cell[0] == "asked") is (not earlier), cell
    assert any("Asked now" in what for what in society.message(None)["waits"])


@pytest.mark.parametrize("name", ["public-goods-with-punishment", "coordination"])
def test_other_games_are_shown_by_their_moves(name: str, tmp_path: Path) -> None:
    study = play(name, tmp_path)
    [folder] = study.folders.values()
    watch = StudyWatch(folder.name, folder)
    list(watch.refresh(0.0))
    message = watch.message()
    n_asked = len(study.moves) + len(study.messages) + study.agents.drop_duplicates(["run", "agent"])["strategy"].size
    assert len(study.moves) + len(study.messages) <= message["answered"] <= n_asked
    run = study.moves["run"].iloc[0]
    society = Unfolding(folder / run)
    list(society.refresh())
    moves = study.moves[(study.moves["run"] == run) & (study.moves["generation"] == 1)]
    places = {
        f"{row['game']}/{row['round']}/{row['actor']}" for row in moves[["game", "round", "actor"]].to_dict("records")
    }
    assert {place for place, cell in society.cells(1).items() if cell[0] in ("done", "lost")} == places
    assert society.question(moves["key"].iloc[0])


def test_reading_changes_nothing_and_takes_no_lock(client: Make, played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def files() -> dict[Path, tuple[int, int, int]]:
        states = {path: path.stat() for path in played.parent.rglob("*")}
        return {path: (state.st_size, state.st_mtime_ns, state.st_ino) for path, state in states.items()}

    def refuse(*_: object) -> None:
        raise AssertionError("a lock was taken")

    before = files()
    monkeypatch.setattr(fcntl, "flock", refuse)
    page = client()
    _event(page, "/live/studies")
    _event(page, "/live/study", study="hostile")
    run = next(path.parent.name for path in played.glob("*/log.jsonl"))
    _event(page, "/live/run", study="hostile", run=run)
    compared(played, "")
    assert files() == before


def test_a_run_is_played_while_its_lock_is_held(tmp_path: Path) -> None:
    run = tmp_path / "x--seed-0"
    run.mkdir()
    (run / "log.jsonl").write_bytes(b"")
    os.utime(run / "log.jsonl", (1, 1))

    def status() -> str:
        watch = StudyWatch("x", tmp_path)
        list(watch.refresh(1e9))
        return str(watch.cells()["x--seed-0"][2])

    with (run / "lock").open("w") as lock:
        assert status() == "broken off"
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert status() == "playing"


def test_strict_headers_come_with_every_answer(client: Make) -> None:
    page = client()
    for path in ("/", "/script.js", "/style.css", "/icon.svg", "/nowhere", "/live/studies"):
        headers = page.get(path).headers
        assert all(headers[name] == value for name, value in HEADERS.items()), path
    assert "unsafe" not in str(HEADERS) and "default-src 'none'" in str(HEADERS)
    text = page.get("/").text
    assert "<style" not in text and text.count("<script") == 1 and "onclick" not in text and " style=" not in text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8017", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_other_names_are_refused(client: Make, host: str) -> None:
    assert client().get("/live/studies", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8017", "127.0.0.1:8017", "[::1]:8017"])
def test_this_machines_names_are_answered(client: Make, host: str) -> None:
    assert client().get("/", headers={"host": host}).status_code == 200


def test_other_machines_must_present_the_token(client: Make) -> None:
    page = client(host="0.0.0.0", token="secret")
    for path in ("/", "/script.js", "/live/studies", "/?token=wrong", "/?token="):
        answer = page.get(path, follow_redirects=False)
        assert answer.status_code == 403 and "hostile" not in answer.text
    assert page.get("/?token=secret", headers={"host": "evil.example"}).status_code == 421
    opened = page.get("/?token=secret", follow_redirects=False)
    assert opened.status_code == 303 and opened.headers["location"] == "/"
    assert "HttpOnly" in opened.headers["set-cookie"] and "SameSite=Strict" in opened.headers["set-cookie"]
    assert page.get("/live/studies").status_code == 200


@pytest.mark.parametrize("run", ["", "..", ".", "../hostile", "nobody", "/etc", "a/b"])
def test_only_runs_of_the_folder_can_be_named(client: Make, run: str) -> None:
    for path in ("/live/run", "/question"):
        assert client().get(path, params={"study": "hostile", "run": run}).status_code == 404
    assert client().get("/live/study", params={"study": f"../{run}"}).status_code == 404
    assert client().post("/").status_code == 405


def test_damaged_and_empty_folders_are_said_and_harm_nothing(client: Make, played: Path, tmp_path: Path) -> None:
    assert _event(client(tmp_path), "/live/studies")["studies"] == []
    study = tmp_path / "bad"
    for name, text in (("a--seed-0", b"nonsense\n{}\n"), ("a--seed-1", b""), ("a--seed-2", b'{"type":"reply"}\n')):
        (study / name).mkdir(parents=True)
        (study / name / "log.jsonl").write_bytes(text)
    (study / "study.json").write_text("{")
    sent = _event(client(tmp_path), "/live/study", study="bad")
    assert sent["counts"]["unreadable"] == 2 and any("byte 0" in reason["what"] for reason in sent["reasons"])
    assert _event(client(study), "/live/studies")["studies"][0]["id"] == "bad"
    for run in ("a--seed-0", "a--seed-1", "a--seed-2"):
        assert _event(client(tmp_path), "/live/run", study="bad", run=run)["agents"] == []
