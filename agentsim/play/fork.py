"""A fork: a run that begins with those replies of another run that still answer what is asked now."""

from __future__ import annotations

from pathlib import Path

from agentsim.errors import AnswerError
from agentsim.log.reading import read_log
from agentsim.log.records import Record, Reply, RunStarted
from agentsim.log.writing import RunLog
from agentsim.play.course import Course

__all__ = ["take_over"]


def take_over(source: Path, log: RunLog, *, started: RunStarted, course: Course) -> int:
    """Begin a log with those replies of another run's log that still hold; return how many there are.

    A reply still holds if `course`, a society that has not begun, asks the same question with the same prompt, model
    and sampling. Facts in the source are ignored: they are computed anew.

    Raises:
        LogError, SchemaError: the source cannot be read.
    """
    records: list[Record] = [started.model_copy(update={"forked_from": str(source)}), *course.start().events]
    replies = [record for record in read_log(source).records if isinstance(record, Reply)]
    n_taken = 0
    for reply in replies:
        question = course.open.get(reply.key)
        if question is None or (question.attempt, question.prompt) != (reply.attempt, reply.prompt):
            continue
        try:
            events = course.receive(reply.key, reply.completion).events
        except AnswerError:  # the scenario stops at such a reply, so the question is asked again
            break
        records += [reply, *events]
        n_taken += 1
    log.append(*records, sync=True)
    return n_taken
