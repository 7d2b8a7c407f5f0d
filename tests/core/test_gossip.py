"""Notes that recipients write about their donors, and who reads them."""

from __future__ import annotations

from random import Random

import pytest

from agentsim.core.answers import Answer, TextSpec
from agentsim.core.facts import Donated, Encounter, Event, GameEnded, NoteWritten
from agentsim.core.observation import Gossip
from agentsim.core.requests import DecisionView, NoteView, Request
from agentsim.core.rules import SocietyRules
from agentsim.prompts.sets import load_prompt_set
from tests.core.playing import play

RULES = SocietyRules(agents=6, generations=2, observation=Gossip(depth=2, max_chars=50))


def gossips(request: Request) -> Answer:
    if isinstance(request.view, NoteView):
        return Answer(text=f"note on {request.key}")
    if isinstance(request.view, DecisionView):
        return Answer(act="give", amount=0.3 * request.view.resources)
    return Answer(text="-")


def notes(events: list[Event]) -> list[NoteWritten]:
    return [event for event in events if isinstance(event, NoteWritten)]


def test_after_each_encounter_its_recipient_writes_about_its_donor() -> None:
    asked, events = play(RULES, gossips)
    met = {event.key: event for event in events if isinstance(event, Encounter)}
    assert len(notes(events)) == len(met) and len(asked) == RULES.n_requests(0)
    for note in notes(events):
        encounter = met[note.key.removesuffix("/note")]
        assert (note.author, note.about) == (encounter.recipient, encounter.donor)
        assert note.text == f"note on {note.key}" and note.key.startswith(f"g{note.generation}/game{note.game}/")
    for request in asked:
        if isinstance(request.view, NoteView):
            assert request.agent == request.view.name and request.spec == TextSpec(50, "note")
            event = met[request.key.removesuffix("/note")]
            assert isinstance(event, Donated) and request.view.fraction == event.fraction
            assert request.view.change == event.recipient_after - event.recipient_before > 0


def test_a_donor_reads_the_last_notes_about_its_recipient_newest_first() -> None:
    asked, events = play(RULES, gossips)
    written = {(note.generation, note.game, note.round, note.about): note for note in notes(events)}
    n_read = 0
    for request in asked:
        view = request.view
        if not isinstance(view, DecisionView):
            continue
        assert view.trace == () and view.reputation is None
        game = int(request.key.split("/")[1][4:])
        earlier = [
            written[view.generation, game, round, view.recipient]
            for round in range(view.round - 1, 0, -1)
            if (view.generation, game, round, view.recipient) in written
        ]
        assert [(note.round, note.author, note.text) for note in view.notes] == [
            (note.round, note.author, note.text) for note in earlier[:2]
        ]
        n_read += len(view.notes)
    assert n_read > 50


def test_the_next_encounter_waits_for_the_note_so_that_the_order_of_answers_changes_nothing() -> None:
    _, events = play(RULES, gossips)
    for seed in range(5):
        _, shuffled = play(RULES, gossips, order=Random(seed))
        assert sorted(event.model_dump_json() for event in shuffled) == sorted(
            event.model_dump_json() for event in events
        )
        for place, event in enumerate(shuffled):
            if isinstance(event, GameEnded):
                of_game = [
                    n for n in notes(shuffled[:place]) if (n.generation, n.game) == (event.generation, event.game)
                ]
                assert len(of_game) == 12 * 3


def test_a_note_that_cannot_be_read_is_missing_and_shows_nothing() -> None:
    def half_read(request: Request) -> Answer:
        if isinstance(request.view, NoteView) and request.view.round % 2:
            return Answer(problem="empty", replaced_by="pass", attempts=3)
        return gossips(request)

    asked, events = play(RULES, half_read)
    unread = [note for note in notes(events) if note.round % 2]
    assert unread and all((note.text, note.problem, note.attempts) == (None, "empty", 3) for note in unread)
    shown = [note for request in asked if isinstance(request.view, DecisionView) for note in request.view.notes]
    assert shown and all(note.round % 2 == 0 for note in shown)


def test_nothing_is_written_where_no_decision_could_be_read() -> None:
    def silent(request: Request) -> Answer:
        if isinstance(request.view, DecisionView):
            return Answer(problem="empty", replaced_by="pass")
        return gossips(request)

    asked, events = play(RULES, silent)
    assert not notes(events) and not any(isinstance(request.view, NoteView) for request in asked)


def test_notes_become_known_late_or_not_at_all_as_the_rule_says() -> None:
    late, _ = play(RULES.model_copy(update={"observation": Gossip(delay=3)}), gossips)
    read = [(view.round, note.round) for view in _decisions(late) for note in view.notes]
    assert read and all(written < round - 3 for round, written in read)
    unknown, _ = play(RULES.model_copy(update={"observation": Gossip(known=0)}), gossips)
    assert not any(view.notes for view in _decisions(unknown))


def _decisions(asked: list[Request]) -> list[DecisionView]:
    return [request.view for request in asked if isinstance(request.view, DecisionView)]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"noise": 0.1}, "noise: 0.1 does not apply to gossip"), ({"audience": "private"}, "audience: notes are public")],
)
def test_what_does_not_apply_to_words_is_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Gossip.model_validate(settings)


@pytest.mark.parametrize("answer_format", ["text", "json"])
def test_a_note_is_asked_for_with_what_happened_and_shown_in_quotation_marks(answer_format: str) -> None:
    prompts = load_prompt_set("default", answer_format=answer_format)
    asked, _ = play(RULES, gossips)
    note = next(request for request in asked if isinstance(request.view, NoteView) and request.view.round == 1)
    text = prompts.messages(note)[1].content
    assert "gave you 30% of its units: you received 6 units. You now hold 16 units." in text
    assert "at most 50 characters" in text and ("My note:" in text) == (answer_format == "text")
    again = prompts.ask_again(note, "unreadable").content
    assert "note" in again and "strategy" not in again
    reader = next(
        request for request in asked if isinstance(request.view, DecisionView) and len(request.view.notes) == 2
    )
    assert isinstance(reader.view, DecisionView)
    lines = [f'- Round {n.round}, by {n.author}: "{n.text}"' for n in reader.view.notes]
    assert "\n".join(lines) in prompts.messages(reader)[1].content
    rules = prompts.messages(reader)[0].content
    assert "writes a short public note" in rules and "the last 2 notes, if there are any, that others wrote" in rules
