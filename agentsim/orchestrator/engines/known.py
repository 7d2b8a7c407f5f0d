"""Which engines there are, with the user's own settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from agentsim.errors import ScenarioError, did_you_mean, quote
from agentsim.orchestrator.engines.engine import Engine
from agentsim.scenario.messages import translated
from agentsim.scenario.tree import assigned, setting_of
from agentsim.scenario.user_settings import own_engine

__all__ = ["ENGINES", "engine"]

ENGINES: Final = ("slurm", "ray")


def engine(kind: str, *, settings: Sequence[str] = ()) -> Engine:
    """Return an engine with the user's own settings, changed by those of the command line, as `partition=gpu`.

    Raises:
        ScenarioError: there is none of that name, or a setting is wrong.
    """
    if kind not in ENGINES:
        hint = did_you_mean(kind, ENGINES)
        raise ScenarioError(f"--on {kind}: {quote(kind)} is no engine{hint}; there are {', '.join(ENGINES)}")
    tree = own_engine(kind)
    for text in settings:
        path, value = setting_of(text, source=f"--job {text}", example="time=240")
        tree = assigned(tree, tuple(path), value)
    made = _class_of(kind)
    try:
        return made.model_validate(tree.plain())
    except ValidationError as error:
        raise translated(error, tree, schema=made) from error


def _class_of(kind: str) -> type[Engine]:
    from agentsim.orchestrator.engines.ray import RayCluster  # only who asks for an engine needs them
    from agentsim.orchestrator.engines.slurm import Slurm

    classes: dict[str, type[Engine]] = {"slurm": Slurm, "ray": RayCluster}
    return classes[kind]
