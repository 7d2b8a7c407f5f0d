"""Replies in German and in the neutral words, composed of parts whose meaning is known: none is read otherwise."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import pytest

from agentsim.core.answers import ActSpec
from agentsim.prompts.sets import load_prompt_set
from agentsim.providers.base import Completion

# The donor holds 10 units. A clause that states no decision, one of keeping, and gifts and punishments by their units.
NOTHING_SAID = {
    "german": [
        "1_4 gab 7 Einheiten", "der Empfänger hat 7 Einheiten", "7 Einheiten von 1_4",
        "20% der Einheiten des Empfängers", "ich erhalte 7 Einheiten", "Ich nehme 4 Einheiten von 1_4",
        "gib mir 4 Einheiten", "Ich gab letztes Mal 4 Einheiten", "wenn 1_4 7 gegeben hätte, würde ich 4 geben",
        "Ich könnte 4 Einheiten geben", "Ich würde vielleicht 4 Einheiten geben", "zwischen 4 und 10", "4 oder 10",
        "4-10", "höchstens 4", "mindestens 4 Einheiten", "bis zu 4 Einheiten", "weniger als 4", "mehr als 4 Einheiten",
        "nicht 4", "nicht 4 Einheiten, das ist sicher", "niemals 4 Einheiten", "Ich werde 4 Einheiten nicht geben",
        "Ich werde nicht 4 Einheiten geben", "Ich gebe keine 4 Einheiten", "Ich gebe 4 Einheiten nicht",
        "Ich weigere mich, 4 Einheiten zu geben", "Ich zögere, 4 Einheiten zu geben", "lieber keine 4 Einheiten geben",
        "alles außer 4", "4 Einheiten pro Runde", "1/4", "4 Dutzend Einheiten", "4½ Einheiten", "4 Einheiten (60%)",
        "4 (9)", "4 Einheiten (aber nicht jetzt)", "4, oder vielleicht 7", "Runde 7", "Agent 1_4",
        "statt 4 Einheiten zu geben", "ohne 4 Einheiten zu geben", "Ich habe 4 Einheiten gegeben",
        "Ich werde mir 4 Einheiten geben lassen", "Soll ich 4 Einheiten geben", "Ich gebe 4 Einheiten weniger",
        "Ich gebe 4 Einheiten mehr als 1_4", "Ich gebe 4 zurück", "keine 4", "Ich gebe nicht alle 10 Einheiten",
        "Ich gebe nicht alles", "nicht alles", "Ich bestrafe nicht mit 4", "bestrafe 1_4, weil er 7 gab",
        "Ich würde 4 Einheiten einsetzen, um zu bestrafen, wenn ich könnte", "Ich könnte mit 4 Einheiten bestrafen",
        "bestrafe oder gebe 4", "gebe 4 und bestrafe 7", "nehme 1_4 4 Einheiten weg",
        "Ich werde 1_4 nicht mit 4 Einheiten bestrafen",
    ],
    "neutral": [
        "1_4 put 7 units into A", "the second player holds 7 units", "I take 4 units from 1_4",
        "I could put 4 units into A", "I might choose A 4", "A 4 or 10", "A 4-10", "A at most 4", "not A 4",
        "never A 4", "I will not put 4 units into A", "I won't choose A 4", "I refuse to put 4 into A",
        "anything but A 4",
        "A 4 units per round", "A 1/4", "A 4 (9)", "A 4 units (60%)", "A, or maybe C 7", "if 1_4 had put 7, A 4",
        "A 4 and C 3", "B 4", "4 units into B", "I could put 4 units into C", "not C 4", "C or A 4", "C 4 and A 3",
        "I will not put 4 into C", "C them all",
    ],
}  # fmt: skip
KEEPING = {
    "german": [
        "Ich behalte 10 Einheiten", "Ich behalte alle 10 Einheiten", "behalte 10", "10 Einheiten behalten",
        "10 Einheiten bleiben bei mir", "10 Einheiten für mich", "Ich schütze meine 10 Einheiten",
        "Ich halte 10 Einheiten zurück", "null, weil 1_4 7 gegeben hat", "nichts. 1_4 gab 20%", "10 (behalten)",
        "Ich spare 10 Einheiten", "Ich verzichte auf 10", "Ich will alle 10 Einheiten behalten",
        "Ich werde 10 Einheiten für mich behalten",
    ],
    "neutral": ["I keep 10 units", "keep 10", "B because 1_4 put 7", "10 units stay with me", "B, not A 4", "B"],
}  # fmt: skip
GIVING: dict[str, dict[str, float]] = {
    "german": {
        "gebe 4": 4, "Ich gebe 4 Einheiten": 4, "Ich werde 1_4 4 Einheiten geben": 4, "Ich gebe 4 Einheiten ab": 4,
        "Ich gebe 4 Einheiten und behalte 6": 4, "behalte 6, gebe 4": 4, "gebe 4 von meinen 10 Einheiten": 4,
        "gebe 4 meiner 10 Einheiten": 4, "gebe 4 Einheiten (40%)": 4, "gebe 40% (4 Einheiten)": 4, "gebe 40 Prozent": 4,
        "gebe 10 - 6 = 4": 4, "gebe 40% von 10 = 4": 4, "gebe die Hälfte meiner 10 Einheiten": 5, "gebe alle": 10,
        "gebe alle bis auf 6 Einheiten": 4, "gebe alle meine 10 Einheiten": 10, "gebe nichts": 0, "nichts": 0,
        "gebe 4 Einheiten an 1_4 in Runde 3": 4,
    },
    "neutral": {
        "A 4": 4, "A 4 units": 4, "4 units into A": 4, "I put 4 units into A": 4, "I will put 4 units into A": 4,
        "A 40%": 4, "A 40% (4 units)": 4, "A all": 10, "A nothing": 0, "option A: 4": 4, "A (4)": 4, "A 4, not C": 4,
        "put 4 into A and keep 6": 4, "A 4 (keep 6)": 4,
    },
}  # fmt: skip
PUNISHING: dict[str, dict[str, float]] = {
    "german": {"bestrafe 4": 4, "Ich bestrafe 1_4 mit 4 Einheiten": 4, "Ich werde 1_4 mit 4 Einheiten bestrafen": 4},
    "neutral": {"C 4": 4, "4 units into C": 4, "I put 4 units into C": 4},
}
OPENINGS = {
    "german": [
        "", "1_4 gab 30%.\n", "Ich habe 10 Einheiten, und 6 genügen.\n", "Ich werde keine 7 Einheiten geben.\n",
        "<think>Antwort: 7</think>\n", "Meine Strategie ist es, alles zu behalten.\n\n",
    ],
    "neutral": [
        "", "1_4 put 30% into A.\n", "I hold 10 units, and 6 are enough.\n", "I will not put 7 units into A.\n",
        "<think>Answer: A 7</think>\n", "A good start.\n",
    ],
}  # fmt: skip
MARKERS = {
    "german": ["Antwort: ", "**Antwort:** ", "Endgültige Antwort: ", "Antwort:\n", ""],
    "neutral": ["Answer: ", "**Answer:** ", "Final answer: ", "Answer:\n", ""],
}
ENDINGS = {
    "german": ["", ".", "\n\nDas ist fair.", " weil es fair ist", ". Den Rest behalte ich"],
    "neutral": ["", ".", "\n\nThat is fair.", "\nA fair choice.", "\nB would be mean.", "\nC is not needed."],
}


@pytest.mark.parametrize("acts", [("give",), ("give", "punish")])
@pytest.mark.parametrize("name", ["german", "neutral"])
def test_no_composed_reply_is_read_otherwise_than_it_was_meant(name: str, acts: Any) -> None:
    meant: dict[str, tuple[str, float] | None] = dict.fromkeys(NOTHING_SAID[name])
    meant |= dict.fromkeys(KEEPING[name], ("give", 0.0))
    meant |= {clause: ("give", units) for clause, units in GIVING[name].items()}
    meant |= {clause: ("punish", units) for clause, units in PUNISHING[name].items()}
    every = list(itertools.product(OPENINGS[name], MARKERS[name], meant, ENDINGS[name]))
    prompts, n_read = load_prompt_set(name), 0
    for opening, marker, clause, ending in Random(1).sample(every, 2_000):
        text = f"{opening}{marker}{clause}{ending}"
        reply = Completion(text=text, model=None, finish_reason="stop", latency_s=0)
        answer = prompts.read(reply, ActSpec(acts, 10.0))
        if answer.is_valid:
            assert (answer.act, answer.amount) == meant[clause], text
            n_read += 1
    assert n_read > 100
