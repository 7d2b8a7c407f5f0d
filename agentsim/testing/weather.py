"""Everyday trouble with an API, drawn from a seed: slow answers, refusals, faults, and a limit that is enforced."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from agentsim.testing.faultserver import Answer, Behaviour, Hang, Raw, Request, Reset, Status

__all__ = ["Weather", "lognormal", "plausible"]

Z_99: Final = 2.326
"""The 99th percentile of a standard normal."""


def plausible(prompt: str) -> str:
    """Answer as a model might: a strategy where one is asked for, else a gift that hangs on the prompt alone."""
    if "My strategy will be" in prompt[-300:]:
        return "My strategy will be to give half of what I hold to those who gave, and little to those who kept."
    share = Random(prompt).randrange(20, 60)
    return f"I weigh what it gave before.\nAnswer: {'give ' if 'punish NUMBER' in prompt else ''}{share}%"


def lognormal(
    median_s: float, *, seed: int = 0, tail: float = 8.0, stalled: float = 0.0, stall_s: float = 60.0
) -> Callable[[], float]:
    """Return a source of latencies (seconds): lognormal, the slowest 1 % at `tail` x the median; a share is stalled."""
    draw = Random(seed)
    sigma = math.log(tail) / Z_99

    def latency() -> float:
        if draw.random() < stalled:
            return stall_s
        return median_s * math.exp(sigma * draw.gauss(0, 1))

    return latency


@dataclass
class Weather:
    """A script for `FaultServer`: each request meets a fault with the given share, else an answer.

    `requests_per_minute` is enforced over the last 60 s, with the headers that real servers send.
    """

    seed: int = 0
    refused: float = 0.0
    """Share of requests that are refused with 429, at random."""
    failed: float = 0.0
    """Share that meet a 500 or 503."""
    reset: float = 0.0
    """Share whose connection is reset, before the answer or inside of it."""
    malformed: float = 0.0
    """Share whose body is no JSON, cut off, or no completion."""
    hung: float = 0.0
    """Share that get no answer at all."""
    requests_per_minute: int | None = None
    text: Callable[[str], str] = plausible
    clock: Callable[[], float] = time.monotonic
    counts: dict[str, int] = field(default_factory=dict)
    """How many requests met what."""

    def __post_init__(self) -> None:
        self._draw = Random(self.seed)
        self._begun: deque[float] = deque()

    def __call__(self, request: Request) -> Behaviour:
        """Return what the request meets."""
        name, behaviour = self._drawn()
        self.counts[name] = self.counts.get(name, 0) + 1
        return behaviour

    def _drawn(self) -> tuple[str, Behaviour]:
        now = self.clock()
        while self._begun and self._begun[0] <= now - 60:
            self._begun.popleft()
        if self.requests_per_minute is not None:
            if len(self._begun) >= self.requests_per_minute:
                wait_s = math.ceil(self._begun[0] + 60 - now)
                return "over the limit", Status(429, message="rate limit", headers={"retry-after": str(wait_s)})
            self._begun.append(now)
        luck = self._draw.random()
        for name, share, behaviour in (
            ("refused", self.refused, self._refusal),
            ("failed", self.failed, self._failure),
            ("reset", self.reset, self._reset),
            ("malformed", self.malformed, self._malformed),
            ("hung", self.hung, Hang),
        ):
            if luck < share:
                return name, behaviour()
            luck -= share
        return "answered", Answer(self.text)

    def _refusal(self) -> Behaviour:
        return Status(429, message="slow down", headers={"retry-after": "1"})

    def _failure(self) -> Behaviour:
        return Status(self._draw.choice([500, 502, 503, 529]), message="overloaded")

    def _reset(self) -> Behaviour:
        return Reset(self._draw.choice(["request", "headers", "body"]))

    def _malformed(self) -> Behaviour:
        bodies = [b"", b"[]", b"<html>busy</html>", b'{"choices": [', json.dumps({"choices": []}).encode(), b"\xff\xfe"]
        return Raw(self._draw.choice(bodies))
