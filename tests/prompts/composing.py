"""Replies composed of parts whose meaning is known: what each may be read as is known by how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from agentsim.core.facts import Act

__all__ = ["Composed", "composed"]


class Composed(NamedTuple):
    """A reply, and the decisions it may be read as; where it may be none, it must be asked again."""

    text: str
    holds: float
    acts: tuple[Act, ...]
    may_be: frozenset[tuple[str, float]]


# What a clause means, as (template, act, units); the units are worked out of the numbers in the template:
# {n} some units, {h} what the donor holds, {r} the rest, {p} percent, {x} somebody else's number, {k} thousands.
NOTHING_SAID = [
    "{who} gave {x} units",
    "the recipient holds {x} units",
    "{x} units from {who}",
    "{p}% of the recipient's units",
    "{p} percent of what {who} holds",
    "half of {who}'s {x} units",
    "I receive {x} units",
    "I take {n} units from {who}",
    "give me {n} units",
    "I gave {n} units last time",
    "if {who} had given {x}, I would give {n}",
    "I could give {n} units",
    "I might give {n} units",
    "between {n} and {h}",
    "{n} or {h}",
    "{n}-{h}",
    "at most {n} units",
    "at least {n} units",
    "up to {n} units",
    "less than {n}",
    "more than {n} units",
    "not {n}",
    "not {n} units, that is certain",
    "never {n} units",
    "I will not give {n} units",
    "I won't give {n}",
    "I don't give {n} units",
    "I refuse to give {n} units",
    "I hesitate to give {n} units",
    "I would rather not give {n} units",
    "anything but {n}",
    "{n} units per round",
    "{n} units each round",
    "1/{n}",
    "{n} dozen units",
    "{n}½ units",
    "{n}² units",
    "{n} + {x} = {h}",
    "{n} units ({wrong_p}%)",
    "{p}% ({wrong} units)",
    "{n} ({wrong})",
    "{n} units (but not now)",
    "{n}, or maybe {x}",
    "round {x}",
    "agent {who}",
]
"""Clauses that state no decision, whatever numbers they hold."""
KEEPING = [
    "I keep {h} units",
    "I'll keep all {h} of my units",
    "keep {h}",
    "keeping {h} units",
    "hold {h}",
    "I hold on to {h}",
    "I hold {h} units and protect all of them",
    "withhold {h}",
    "withholding all {h} units",
    "I refuse. {n} is too much",
    "refuse, {n} units are too many",
    "protect my {h} units",
    "I would rather protect {h} units",
    "I save {h} units",
    "I retain {h}",
    "I decline to give any of my {h} units",
    "I am going to keep all my {h} units this time",
    "zero, because {who} gave {x} last time",
    "nothing. {who} gave {x}% before",
    "{h} units stay with me",
    "{h} units for myself",
    "{h} (to keep)",
]
"""Clauses of donors that give nothing."""
GIVING = [
    ("{n}", "n"),
    ("{n} units", "n"),
    ("give {n}", "n"),
    ("I give {n} units", "n"),
    ("I will give {n} units to {who}", "n"),
    ("I'll donate {n} units", "n"),
    ("{n} units to {who} in round 3", "n"),
    ("I give {n} units and keep {r}", "n"),
    ("{n} units, keeping {r}", "n"),
    ("keep {r}, give {n}", "n"),
    ("{n} of my {h} units", "n"),
    ("{n} units ({p}%)", "n"),
    ("{p}% ({n} units)", "n"),
    ("{n} ({p}% of my units)", "n"),
    ("{p}%", "n"),
    ("{p} percent", "n"),
    ("{p} (percent)", "n"),
    ("{p}% of my units", "n"),
    ("{p}％", "n"),
    ("{h} - {r} = {n}", "n"),
    ("{r} less than {h}, so {n}", "n"),
    ("{p}% of {h} = {n}", "n"),
    ("{h} × {p}% = {n} units", "n"),
    ("half of my {h} units", "half"),
    ("a third of my {h} units", "third"),
    ("half (of {h})", "half"),
    ("all but {r} units", "n"),
    ("all except {r}", "n"),
    ("everything but {r} units", "n"),
    ("all my {h} units", "h"),
    ("all", "h"),
    ("nothing", "0"),
    ("give nothing", "0"),
    ("nothing at all", "0"),
    ("{k}k", "k"),
    ("{k} thousand units", "k"),
    ("{k}e3", "k"),
    ("0.00{k} million", "k"),
]
"""Clauses that state a gift, and which."""
PUNISHING = [
    ("punish {n}", "n"),
    ("I punish {who} with {n} units", "n"),
    ("I spend {n} units to punish {who}", "n"),
    ("punish {p}%", "n"),
]
NOT_PUNISHING = [
    "I do not punish {n}",
    "punish {who} for giving {x} units",
    "I would punish {n} units if I could",
    "I could punish {n} units, that would hurt",
    "punish or give {n}",
    "give {n} and punish {x}",
    "take {n} units away from {who}",
]
OPENINGS = [
    "",
    "",
    "{who} gave {x}% before.\n",
    "I hold {h} units, and {r} are enough.\n",
    "My strategy is to protect what I have.\n\n",
    "I will not give {x} units.\n",
    "Thinking of {who}, who holds {x} units:\n",
    "<think>I could say Answer: {x}. Or {wrong}.</think>\n",
    "<thinking>\nAnswer: {wrong}\n</thinking>\n\n",
    "Answer: {wrong} would be generous, but</think>\n\n",
    "[THINK]Answer: {x}[/THINK]",
    "<|channel|>analysis<|message|>Answer: {x}<|end|><|start|>assistant<|channel|>final<|message|>",
]
MARKERS = ["Answer: ", "Answer: ", "**Answer:** ", "Final answer: ", "answer = ", "Answer：", "Answer:\n", ""]
ENDINGS = ["", "", ".", "!", "\n", "\n\nThat is fair.", " because it is fair", ". I keep the rest", "</answer>"]


def composed(n_texts: int, *, seed: int) -> Iterator[Composed]:
    """Return so many replies, the same for the same seed."""
    rng = Random(seed)
    for _ in range(n_texts):
        yield _composed(rng)


def _composed(rng: Random) -> Composed:
    holds = rng.choice([10, 20, 40, 50, 80, 5000])
    thousands = rng.choice([1, 2, 3])
    given = holds * rng.choice([1, 2, 3, 4]) // 5
    numbers = {
        "n": given, "h": holds, "r": holds - given, "p": f"{given * 100 / holds:g}", "x": rng.choice([3, 7, 13, 6.5]),
        "k": thousands, "who": rng.choice(["1_4", "2_1"]), "wrong": holds - 1,
        "wrong_p": f"{100 - given * 50 / holds:g}",
    }  # fmt: skip
    units = {"n": given, "h": holds, "half": holds / 2, "third": holds / 3, "0": 0, "k": 1000 * thousands}
    acts: tuple[Act, ...] = rng.choice([("give",), ("give",), ("give", "punish")])
    clause, may_be = _clause(rng, units, acts=acts)
    if rng.random() < 0.2:
        clause = clause[:1].upper() + clause[1:]
    if rng.random() < 0.1:
        clause = clause.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    opening, ending = rng.choice(OPENINGS), rng.choice(ENDINGS)
    text = f"{opening}{rng.choice(MARKERS)}{clause}{ending}".format(**numbers)
    return Composed(text, float(holds), acts, may_be)


def _clause(rng: Random, units: dict[str, float], *, acts: tuple[Act, ...]) -> tuple[str, frozenset[tuple[str, float]]]:
    kind = rng.randrange(10)
    if kind < 3:
        return rng.choice(NOTHING_SAID), frozenset()
    if kind < 6:
        return rng.choice(KEEPING), frozenset({("give", 0.0)})
    if kind < 9:
        clause, which = rng.choice(GIVING)
        if len(acts) > 1 and rng.random() < 0.7 and "give" not in clause:
            clause = f"give {clause}"
        return clause, frozenset({("give", float(units[which]))})
    if len(acts) > 1 and rng.random() < 0.6:
        clause, which = rng.choice(PUNISHING)
        return clause, frozenset({("punish", float(units[which]))})
    return rng.choice(NOT_PUNISHING), frozenset()
