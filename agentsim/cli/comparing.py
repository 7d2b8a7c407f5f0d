"""The options that say how groups are compared, and the comparison that they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from agentsim.analysis.compare import Comparison
    from agentsim.analysis.frames.study import Study

__all__ = ["Bayes", "By", "Course", "Design", "Equivalence", "Looked", "Prereg", "Spent", "TakeOff", "comparison_of"]

By = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it
    typer.Option(
        help="What groups the runs: model (the default), condition, study or a setting that varies; or player, to"
        " compare the models that share societies.",
        show_default=False,
    ),
]
Design = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it
    typer.Option(
        help="unpaired: all runs, whatever their seeds (the default); paired: differences between runs with the"
        " same seed. Players are always compared within the societies they share.",
        show_default=False,
    ),
]
TakeOff = Annotated[
    Optional[float],  # noqa: UP045 - typer reads it
    typer.Option(
        "--take-off",
        help="A run has taken off at this efficiency or more: above 0, at most 1; 0.7 by default.",
        show_default=False,
    ),
]
Prereg = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it
    typer.Option(
        help="A plan that `agentsim prereg` wrote: say of each line whether it is as planned.", metavar="FILE"
    ),
]
Looked = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it
    typer.Option(
        help="This is one of several looks, such as 2/3; with --prereg the plan says how many.", metavar="K/N"
    ),
]
Spent = Annotated[
    str, typer.Option(help="How looks spend the 5 %: obrien-fleming or pocock; with --prereg as planned.")
]
Equivalence = Annotated[
    Optional[float],  # noqa: UP045 - typer reads it
    typer.Option(help="Test also whether groups are equal within this ratio, such as 1.25.", show_default=False),
]
Course = Annotated[
    bool, typer.Option("--course", help="Compare whole courses too: area, slope and time to the threshold.")
]
Bayes = Annotated[
    bool,
    typer.Option(
        "--bayes",
        help="Estimate also the ratios with two hierarchical models; needs pip install 'agentsim-lab\\[bayes]'.",
    ),
]


def comparison_of(
    study: Study,
    *,
    by: str | None,
    design: str | None,
    take_off: float | None,
    prereg: Path | None,
    look: str | None,
    spending: str,
    equivalence: float | None,
    course: bool,
    bayes: bool,
) -> Comparison:
    """Compare a study's groups as the options say.

    Raises:
        AgentsimError, LogError: as `compare`; a plan or a look is not one.
    """
    from agentsim.analysis.compare import compare
    from agentsim.analysis.families import look_of
    from agentsim.analysis.preregistration import read_prereg

    return compare(
        study,
        by=by,
        design=design,  # type: ignore[arg-type] # checked there
        take_off_at=take_off,
        plan=None if prereg is None else read_prereg(prereg),
        look=None if look is None else look_of(look, spending),
        equivalence=equivalence,
        course=course,
        bayes=bayes,
    )
