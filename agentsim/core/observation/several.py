"""Several rules side by side, each of which shows something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from agentsim.core.facts import Observed, Past
from agentsim.core.observation.acts import Trace
from agentsim.core.observation.base import Chance, History, Judgements, Observation, no_chance
from agentsim.core.observation.memory import Memory
from agentsim.core.registry import Among

__all__ = ["OneRule", "Several"]

OneRule = Annotated[Observation, Among("observation", default="trace", without="several")]


class Several(Observation):
    """Several rules side by side, each of which shows something else. A scenario writes them as a list."""

    kind: Literal["several"] = "several"
    rules: tuple[OneRule, ...] = Field(default=(Trace(), Memory()), min_length=2, max_length=4)
    """The rules, in the order in which agents read what they show."""

    @field_validator("rules", mode="before")
    @classmethod
    def _of_a_list(cls, rules: object) -> object:
        return tuple(rules) if isinstance(rules, list) else rules

    @model_validator(mode="after")
    def _show_different_things(self) -> Self:
        if any(isinstance(rule, Several) for rule in self.rules):
            raise ValueError("several stands within several; write one list")
        for what, showing in (
            ("the acts of others", [rule for rule in self.rules if rule.n_acts > 0]),
            ("a score or a standing", [rule for rule in self.rules if rule.judges_from is not None]),
            ("notes", [rule for rule in self.rules if rule.max_note_chars is not None]),
            ("an agent's own encounters", [rule for rule in self.rules if rule.remembers]),
            ("nothing", [rule for rule in self.rules if not rule.shows_anything]),
        ):
            if len(showing) > (0 if what == "nothing" else 1):
                kinds = " and ".join(rule.kind for rule in showing)
                verb = "show" if len(showing) > 1 else "shows"
                raise ValueError(f"{kinds} {verb} {what}; in a list, each rule must show something that no other does")
        return self

    @property
    def told(self) -> tuple[Observation, ...]:
        """Return the rules: each has its own sentences."""
        return self.rules

    @property
    def n_acts(self) -> int:
        """Return the most links that any of the rules shows."""
        return max(rule.n_acts for rule in self.rules)

    @property
    def n_records(self) -> int:
        """Return the most links that any of the rules shows or judges."""
        return max(rule.n_records for rule in self.rules)

    @property
    def judges_from(self) -> float | None:
        """Return the threshold of the rule that judges acts, if one does."""
        return next((rule.judges_from for rule in self.rules if rule.judges_from is not None), None)

    @property
    def reports_random_gifts(self) -> bool:
        """Whether an act may be reported as a gift of a random share."""
        return any(rule.reports_random_gifts for rule in self.rules)

    @property
    def max_note_chars(self) -> int | None:
        """Return the length at which notes are cut, where one of the rules has them written."""
        return next((rule.max_note_chars for rule in self.rules if rule.max_note_chars is not None), None)

    @property
    def follows_edges(self) -> bool:
        """Whether what one of the rules shows depends on who are neighbours."""
        return any(rule.follows_edges for rule in self.rules)

    @property
    def remembers(self) -> bool:
        """Whether one of the rules shows agents their own encounters."""
        return any(rule.remembers for rule in self.rules)

    def recall(self, past: Sequence[Past], *, partners: Sequence[str], before: int) -> tuple[Past, ...]:
        """Return what the rules show of the agent's own encounters."""
        return tuple(one for rule in self.rules for one in rule.recall(past, partners=partners, before=before))

    def observe(
        self,
        history: History,
        *,
        recipient: str,
        round: int,
        observer: str = "",
        chance: Chance = no_chance,
        judged: Judgements | None = None,
    ) -> Observed:
        """Return what all rules show together."""
        judged = {} if judged is None else judged
        seen = [
            rule.observe(history, recipient=recipient, round=round, observer=observer, chance=chance, judged=judged)
            for rule in self.rules
        ]
        return Observed(
            trace=next((one.trace for one in seen if one.trace), ()),
            reputation=next((one.reputation for one in seen if one.reputation), None),
            own_reputation=next((one.own_reputation for one in seen if one.own_reputation), None),
            notes=next((one.notes for one in seen if one.notes), ()),
        )
