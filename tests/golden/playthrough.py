"""Writes down, for a person to read, how a scenario's first condition is played.

Models are played by a policy that depends on the trace alone, so the text shows the rules and the prompts, no model.
`python -m tests.golden.playthrough` writes all files anew; the change is then read before it is committed.
"""

from __future__ import annotations

from pathlib import Path

from agentsim.core.answers import Answer, Move, TextSpec
from agentsim.core.facts import (
    Donated,
    Event,
    GameEnded,
    GenerationEnded,
    Moved,
    Punished,
    Settled,
    StrategyFormed,
    Talked,
)
from agentsim.core.games import DonorGame
from agentsim.core.policies import Discriminator
from agentsim.core.requests import DecisionView, MessageView, Request
from agentsim.core.rng import stream
from agentsim.core.society import Society
from agentsim.prompts.sets import load_prompt_set
from agentsim.scenario.conditions import Condition
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.runs import runs

HERE = Path(__file__).parent
MAX_ROUNDS = 12
"""Rounds of a game that are written down: a person is to read it."""
SCENARIOS = sorted(
    path for path in (HERE.parent.parent / "scenarios").glob("**/*.yaml") if path.parent.name != "literature"
)
"""Shipped scenarios that have a playthrough. Those of the literature have a test of their own instead, which plays each
with policies and with models: two dozen texts more would be read by nobody, and most of their games are not written
down here."""


def golden_file(scenario: Path) -> Path:
    """Return where the scenario's playthrough is kept."""
    return HERE / f"{load_scenario(scenario).name}.txt"


def playthrough(scenario: Path) -> str:
    """Return the scenario's first run as text: generation 1 by encounter, then how the others end."""
    spec = runs(load_scenario(scenario))[0]
    condition = spec.condition
    prompts = load_prompt_set("default")
    society = Society(condition, labels=condition.labels, seed=spec.seed)
    lines = [f"{scenario.name}, run {spec.name}: {condition.n_requests(spec.seed)} questions", ""]
    shown: set[tuple[str, str, int]] = set()
    waiting = society.start().asked
    while waiting:
        request = waiting.pop(0)
        view = request.view
        stage = view.stage if isinstance(view, DecisionView) else ""
        kind = (type(view).__name__, stage, min(view.generation, 2))
        is_telling = not isinstance(view, DecisionView | MessageView) or view.round == min(4, condition.game.rounds)
        if kind not in shown and is_telling:
            shown.add(kind)
            for message in prompts.messages(request)[1 if len(shown) > 1 else 0 :]:
                lines += [f"--- {request.key}, {message.role}", message.content, "---", ""]
        step = society.answer(request, _answer(request, condition))
        lines += [line for event in step.events for line in _told(event, request)]
        waiting.extend(step.asked)
    return "\n".join(lines) + "\n"


def _answer(request: Request, condition: Condition) -> Answer:
    view = request.view
    if not isinstance(view, DecisionView):
        return Answer(text=f"strategy of {request.agent}")
    rng = stream(0, "playthrough", request.key)
    # A threshold above what some give, so that the text shows refusals and punishments too.
    fraction = round(Discriminator(share=0.5, threshold=0.35).decide(view, rng.random) * (0.5 + rng.random()), 2)
    game = condition.game
    if not isinstance(game, DonorGame):
        assert not isinstance(request.spec, TextSpec)
        return _sanction(view) or game.answer(request.spec, fraction, stage=view.stage)
    if game.punishment and fraction == 0:
        return Answer(act="punish", amount=0.1 * view.resources)
    return Answer(act="give", amount=game.gift.amount(fraction, view.resources))


def _sanction(view: DecisionView) -> Answer | None:
    """Return, where members may punish, that the one that contributed least loses units."""
    contributed = {made.actor: made.move.amount or 0.0 for made in view.so_far}
    if view.stage != "sanction" or (least := min(contributed, key=lambda name: contributed[name])) == view.name:
        return None
    return Answer(move=Move("punish", aimed={least: 2.0}))


def _told(event: Event, request: Request) -> list[str]:
    if isinstance(event, GenerationEnded):
        return [
            f"generation {event.generation}: mean {event.mean_final_resources:.2f},"
            f" survivors {' '.join(event.survivors) or '-'}"
        ]
    if event.generation > 1:
        return []
    if isinstance(event, StrategyFormed):
        return [f"{event.key}: {event.agent.strategy!r}"]
    if isinstance(event, GameEnded):
        ends = " ".join(f"{agent}={final:.2f}" for agent, final in sorted(event.resources.items()))
        return [f"g{event.generation}/game{event.game} ends: {ends}"]
    if event.round > MAX_ROUNDS:  # type: ignore[union-attr]
        return []
    if isinstance(event, Moved | Settled | Talked):
        return [_told_of_a_move(event)]
    assert isinstance(request.view, DecisionView) and isinstance(event, Donated | Punished)
    act = "gives" if isinstance(event, Donated) else "spends on punishing"
    known = ", ".join(
        f"{item.donor}>{item.recipient} {item.act} {item.fraction:.2f}"
        for item in request.view.trace
        if item.fraction is not None
    )
    return [
        f"{event.key}: {act} {event.amount:.2f} of {event.donor_before:.2f}, {event.recipient}:"
        f" {event.recipient_before:.2f} -> {event.recipient_after:.2f}; knows {known or '-'}"
    ]


def _told_of_a_move(event: Moved | Settled | Talked) -> str:
    if isinstance(event, Talked):
        return f"{event.key}: {event.author} writes {event.text!r}"
    if isinstance(event, Settled):
        units = ", ".join(
            f"{member}: {before:.2f} -> {after:.2f}"
            for member, before, after in zip(event.members, event.before, event.after, strict=True)
        )
        state = "" if event.state_after is None else f"; shared: {event.state_before:.2f} -> {event.state_after:.2f}"
        return f"g{event.generation}/game{event.game}/r{event.round:02} settled: {units}{state}"
    amount = "" if event.amount is None else f" {event.amount:.2f}"
    aimed = "".join(f" {target} by {units:.2f}" for target, units in event.aimed.items())
    meant = "" if event.intended is None else f", meant {event.intended}"
    level = "-" if event.level is None else f"{event.level:.2f}"
    return f"{event.key}: {event.role} {event.option}{amount}{aimed}{meant}; level {level}"


if __name__ == "__main__":
    for path in SCENARIOS:
        golden_file(path).write_text(playthrough(path))
