"""A study's replies as logs of Inspect (inspect-ai): one `.eval` file for each run, which `inspect view` opens.

A sample is one question with all its attempts; its scores say whether an answer was read and how cooperative it was.
Inspect's own classes make the files, so they are what its version reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.disk.whole_files import replace_whole
from agentsim.errors import AgentsimError
from agentsim.log.reading import read_log
from agentsim.log.records import Reply, RunFinished
from agentsim.providers.base import Completion, FinishReason, Prompt

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample
    from inspect_ai.model import ModelOutput

__all__ = ["file_of", "runs_with_replies", "write_run"]

STOP_REASONS: Final[dict[FinishReason, str]] = {
    "stop": "stop",
    "length": "max_tokens",
    "filtered": "content_filter",
    "refused": "content_filter",
    "other": "unknown",
}
MEASURES: Final = ("mean_final_resources", "n_replies", "n_asked_again", "n_missed")
"""Columns of `runs` that are the log's results."""


def file_of(study: str, run: str) -> str:
    """Return the path of a run's file inside the folder of the export."""
    return f"{study}/{run}.eval"


def write_run(study: Study, row: dict[str, Any], path: Path) -> None:
    """Write the log of one run; `row` is its row of `runs`.

    Raises:
        AgentsimError: inspect-ai is not installed.
    """
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise AgentsimError("--format inspect: needs inspect-ai; pip install 'agentsim-lab[inspect]'") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    log = _log(study, row)
    replace_whole(path, lambda new: write_eval_log(log, str(new), format="eval"))


def _log(study: Study, row: dict[str, Any]) -> EvalLog:
    from inspect_ai.log import (
        EvalConfig,
        EvalDataset,
        EvalLog,
        EvalMetric,
        EvalResults,
        EvalScore,
        EvalSpec,
        EvalStats,
    )

    start = study.started[row["study"], row["run"]]
    records = read_log(study.folders[row["study"]] / row["run"]).records
    facts = {fact.key: fact for fact in records if not isinstance(fact, Reply) and hasattr(fact, "key")}
    samples = [_sample(replies, facts.get(replies[0].key)) for replies in _questions(records)]
    finished = next((record for record in records if isinstance(record, RunFinished)), None)
    metrics = {name: EvalMetric(name=name, value=float(row[name])) for name in MEASURES if not pd.isna(row[name])}
    return EvalLog(
        status="success" if finished is not None else "cancelled",
        eval=EvalSpec(
            created=start.time,
            task=f"{row['study']}: {row['condition']}",
            task_id=start.digest[:22],
            run_id=start.digest[:22],
            eval_id=start.digest[:22],
            task_args={"seed": start.seed, **start.settings},
            dataset=EvalDataset(name=row["run"], samples=len(samples), sample_ids=[sample.id for sample in samples]),
            model=" + ".join(start.players),
            config=EvalConfig(),
            packages=start.versions,
            metadata={"run": row["run"], "status": row["status"], "digest": start.digest, "condition": start.condition},
        ),
        results=EvalResults(
            total_samples=len(samples),
            completed_samples=len(samples),
            scores=[EvalScore(name="society", scorer="agentsim", metrics=metrics)],
        ),
        stats=EvalStats(
            started_at=start.time, completed_at=finished.time if finished else "", model_usage=_usage(samples)
        ),
        samples=samples,
    )


def _questions(records: Sequence[Any]) -> Iterator[list[Reply]]:
    """Yield the attempts at each question, in the order in which questions were first answered."""
    attempts: dict[str, list[Reply]] = {}
    for record in records:
        if isinstance(record, Reply):
            attempts.setdefault(record.key, []).append(record)
    yield from attempts.values()


def _sample(replies: list[Reply], fact: Any) -> EvalSample:
    from inspect_ai.event import ModelEvent
    from inspect_ai.log import EvalSample
    from inspect_ai.model import GenerateConfig
    from inspect_ai.scorer import Score

    last = replies[-1]
    events = [
        ModelEvent(
            model=reply.prompt.model,
            input=_messages(reply.prompt),
            tools=[],
            tool_choice="none",
            config=GenerateConfig(
                temperature=reply.prompt.sampling.temperature,
                max_tokens=reply.prompt.sampling.max_tokens,
                top_p=reply.prompt.sampling.top_p,
                seed=reply.prompt.sampling.seed,
            ),
            output=_output(reply.completion, asked=reply.prompt.model),
            timestamp=reply.time,
            working_start=0.0,
        )
        for reply in replies
    ]
    output = events[-1].output
    problem = getattr(fact, "problem", None)
    scores = {"read": Score(value="I" if fact is None or problem else "C", explanation=problem)}
    level = getattr(fact, "level", getattr(fact, "fraction", None))
    if level is not None and not problem:
        scores["cooperation"] = Score(value=float(level), answer=last.completion.text)
    return EvalSample(
        id=last.key,
        epoch=1,
        input=_messages(last.prompt),
        target="",
        messages=[*_messages(last.prompt), output.message],
        output=output,
        scores=scores,
        metadata={"attempts": len(replies), **({} if fact is None else fact.model_dump(mode="json"))},
        events=events,
        completed_at=last.time,
        total_time=sum(reply.completion.latency_s for reply in replies),
    )


def _messages(prompt: Prompt) -> list[Any]:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    return [kinds[message.role](content=message.content) for message in prompt.messages]


def _output(completion: Completion, *, asked: str) -> ModelOutput:
    from inspect_ai.model import (
        ChatCompletionChoice,
        ChatMessageAssistant,
        ContentReasoning,
        ContentText,
        ModelOutput,
        ModelUsage,
    )

    usage, thoughts = completion.usage, completion.thoughts
    content: Any = completion.text
    if thoughts is not None:
        content = [ContentReasoning(reasoning=thoughts), ContentText(text=completion.text)]
    n_in, n_out = usage.input_tokens, usage.output_tokens
    counted = None  # Inspect knows no missing number of tokens, only no usage
    if n_in is not None and n_out is not None:
        counted = ModelUsage(
            input_tokens=n_in,
            output_tokens=n_out,
            total_tokens=n_in + n_out,
            input_tokens_cache_read=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
        )
    return ModelOutput(
        model=completion.model or asked,
        choices=[
            ChatCompletionChoice(
                message=ChatMessageAssistant(content=content, model=completion.model, source="generate"),
                stop_reason=STOP_REASONS[completion.finish_reason],
            )
        ],
        usage=counted,
        time=completion.latency_s,
    )


def _usage(samples: Sequence[EvalSample]) -> dict[str, Any]:
    """Return the tokens of all attempts, by the model that answered."""
    from inspect_ai.event import ModelEvent
    from inspect_ai.model import ModelUsage

    total: dict[str, ModelUsage] = {}
    for sample in samples:
        for event in sample.events:
            if isinstance(event, ModelEvent) and event.output.usage is not None:
                total[event.output.model] = total.get(event.output.model, ModelUsage()) + event.output.usage
    return total


def runs_with_replies(study: Study) -> list[dict[str, Any]]:
    """Return the rows of `runs` that have a log with replies."""
    asked = set(study.replies[KEY].itertuples(index=False, name=None))
    rows = study.runs.to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows if (row["study"], row["run"]) in asked]
