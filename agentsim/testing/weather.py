"""Realistic API faults, drawn from a seed: slow answers, refusals, errors, and enforced limits."""

from __future__ import annotations

import json
import math
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from agentsim.testing.faultserver import Answer, Behaviour, Drip, Endless, Hang, Raw, Request, Reset, Status

__all__ = ["InTurn", "Weather", "lognormal", "plausible"]

BURST: Final = 20
"""Requests refused in one burst."""
Z_99: Final = 2.326
"""The 99th percentile of a standard normal."""


def plausible(prompt: str) -> str:
    """Answer as a model might: a strategy or a note if asked for one, otherwise a gift that depends on the prompt."""
    if "My strategy will be" in prompt[-300:]:
        return "My strategy will be to give half of what I hold to those who gave, and little to those who kept."
    if "My note:" in prompt[-300:]:
        return "My note: it dealt with me as one does here."
    share = Random(prompt).randrange(20, 60)
    if re.search(r"one of these two forms:\nAnswer: yes|`Answer: yes` or", prompt):
        return f"I weigh what it did before.\nAnswer: {'yes' if share < 50 else 'no'}"
    return f"I weigh what it gave before.\nAnswer: {'give ' if 'punish NUMBER' in prompt else ''}{share}%"


def lognormal(
    median_s: float, *, seed: int = 0, tail: float = 8.0, stalled: float = 0.0, stall_s: float = 60.0
) -> Callable[[], float]:
    """Return a source of latencies (seconds): lognormal, the slowest 1 % at `tail` x the median, some stalled."""
    draw = Random(seed)
    sigma = math.log(tail) / Z_99

    def latency() -> float:
        if draw.random() < stalled:
            return stall_s
        return median_s * math.exp(sigma * draw.gauss(0, 1))

    return latency


class InTurn:
    """A source of latencies (seconds): a server that processes a few requests at a time, in order of arrival.

    It also processes requests whose callers have gone, as a small local server may.
    """

    def __init__(
        self, work_s: Callable[[], float], *, at_a_time: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`work_s` gives the seconds of processing for one request."""
        self._work_s = work_s
        self._clock = clock
        self._free = [0.0] * at_a_time
        """When each worker will be free."""

    def __call__(self) -> float:
        """Return how long a request that arrives now waits for its answer."""
        now = self._clock()
        done = max(now, min(self._free)) + self._work_s()
        self._free[self._free.index(min(self._free))] = done
        return done - now


@dataclass
class Weather:
    """A script for `FaultServer`: the stated shares of requests get a fault, the others an answer.

    The limits are enforced, those per minute over the last 60 s, with the headers that real servers send.
    """

    seed: int = 0
    refused: float = 0.0
    """Share of requests that are refused with 429, at random."""
    bursts: float = 0.0
    """Share that are refused with 429 in bursts of 20, for all callers."""
    failed: float = 0.0
    """Share answered with a 500, 502, 503 or 529."""
    reset: float = 0.0
    """Share whose connection is reset, before or during the answer."""
    malformed: float = 0.0
    """Share whose body is not JSON, cut off, not UTF-8, or not a completion."""
    endless: float = 0.0
    """Share whose body does not end, comes a byte at a time, or has 50 MB."""
    empty: float = 0.0
    """Share without an answer: empty, refused by the model, or cut off by the length limit."""
    odd: float = 0.0
    """Share of good answers with something unusual: another model, no usage, an old id, a wrong content type."""
    hung: float = 0.0
    """Share that get no answer at all."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """Tokens of prompts and answers, at four bytes each."""
    concurrency: int | None = None
    """The most requests that may wait for their answers at the same time."""
    text: Callable[[str], str] = plausible
    clock: Callable[[], float] = time.monotonic
    counts: dict[str, int] = field(default_factory=dict)
    """How many requests got each kind of response."""

    def __post_init__(self) -> None:
        self._draw = Random(self.seed)
        self._n_of_burst = 0
        """Requests that the present burst will still refuse."""
        self._begun: deque[tuple[float, int]] = deque()
        """Arrival times and tokens of the requests of the last minute."""

    def __call__(self, request: Request) -> Behaviour:
        """Return the response to a request."""
        name, behaviour = self._drawn(request)
        self.counts[name] = self.counts.get(name, 0) + 1
        return behaviour

    def _drawn(self, request: Request) -> tuple[str, Behaviour]:
        now = self.clock()
        while self._begun and self._begun[0][0] <= now - 60:
            self._begun.popleft()
        text = self.text(request.prompt)
        n_in, n_out = len(request.raw) // 4, len(text) // 4
        if wait_s := self._wait_s(now, n_in + n_out):
            headers = {"retry-after": str(math.ceil(wait_s)), **self._headers(request, now)}
            return "over the limit", Status(429, message="rate limit", headers=headers)
        if self.concurrency is not None and request.n_in_flight > self.concurrency:
            return "too many at a time", Status(
                429, message="too many concurrent requests", headers={"retry-after": "1"}
            )
        self._begun.append((now, n_in + n_out))
        if self._n_of_burst:
            self._n_of_burst -= 1
            return "refused in a burst", self._refusal()
        luck = self._draw.random()
        for name, share, behaviour in (
            ("refused", self.refused, self._refusal),
            ("refused in a burst", self.bursts / (BURST - (BURST - 1) * self.bursts), self._burst),
            ("failed", self.failed, self._failure),
            ("reset", self.reset, self._reset),
            ("malformed", self.malformed, self._malformed),
            ("endless", self.endless, self._endless),
            ("empty", self.empty, lambda: self._empty(request)),
            ("hung", self.hung, Hang),
        ):
            if luck < share:
                return name, behaviour()
            luck -= share
        usage = {"input_tokens": n_in, "output_tokens": n_out}
        if not request.is_anthropic:
            usage = {"prompt_tokens": n_in, "completion_tokens": n_out, "total_tokens": n_in + n_out}
        answer = Answer(text, usage=usage, headers=self._headers(request, now))
        if luck < self.odd:
            return "odd", self._odd(answer)
        return "answered", answer

    def _wait_s(self, now: float, tokens: int) -> float:
        """Return the seconds until a request with this many tokens is within the limits; 0 if it is now."""
        n_free = None if self.requests_per_minute is None else self.requests_per_minute - len(self._begun)
        if n_free is not None and n_free <= 0:
            return self._begun[0][0] + 60 - now
        if self.tokens_per_minute is not None and self._begun:
            left = self.tokens_per_minute - tokens - sum(n for _, n in self._begun)
            for began, n in self._begun:
                if left >= 0:
                    break
                left += n
                wait_s = began + 60 - now
                if left >= 0:
                    return wait_s
        return 0.0

    def _headers(self, request: Request, now: float) -> dict[str, str]:
        """Return the headers in which real servers state their limits."""
        headers: dict[str, str] = {}
        reset_s = max(0.0, self._begun[0][0] + 60 - now) if self._begun else 0.0
        used = {"requests": len(self._begun), "tokens": sum(n for _, n in self._begun)}
        for what, limit in (("requests", self.requests_per_minute), ("tokens", self.tokens_per_minute)):
            if limit is None:
                continue
            left = max(0, limit - used[what])
            if request.is_anthropic:
                at = datetime.now(UTC) + timedelta(seconds=reset_s)
                names = (f"anthropic-ratelimit-{what}-{part}" for part in ("limit", "remaining", "reset"))
                values = (str(limit), str(left), at.strftime("%Y-%m-%dT%H:%M:%SZ"))
            else:
                names = (f"x-ratelimit-{part}-{what}" for part in ("limit", "remaining", "reset"))
                values = (str(limit), str(left), f"{reset_s:.3f}s")
            headers.update(zip(names, values, strict=True))
        return headers

    def _refusal(self) -> Behaviour:
        return Status(429, message="slow down", headers={"retry-after": "1"})

    def _burst(self) -> Behaviour:
        self._n_of_burst = BURST - 1
        return self._refusal()

    def _failure(self) -> Behaviour:
        return Status(self._draw.choice([500, 502, 503, 529]), message="overloaded")

    def _reset(self) -> Behaviour:
        return Reset(self._draw.choice(["request", "headers", "body"]))

    def _malformed(self) -> Behaviour:
        bodies = [b"", b"[]", b"<html>busy</html>", b'{"choices": [', json.dumps({"choices": []}).encode(), b"\xff\xfe"]
        body = self._draw.choice(bodies)
        return Raw(body, headers={"content-type": "text/html"} if body.startswith(b"<") else {})

    def _endless(self) -> Behaviour:
        behaviours: list[Behaviour] = [Endless(), Drip(0.05), Raw(b" " * 50_000_000)]
        return self._draw.choice(behaviours)

    def _empty(self, request: Request) -> Behaviour:
        cut, refused = ("max_tokens", "refusal") if request.is_anthropic else ("length", "content_filter")
        return self._draw.choice([Answer(""), Answer("I weigh what", finish=cut), Answer("", finish=refused)])

    def _odd(self, answer: Answer) -> Behaviour:
        return self._draw.choice(
            [
                replace(answer, model="another-model"),
                replace(answer, usage=None),
                replace(answer, id="the-same"),
                replace(answer, headers={**answer.headers, "content-type": "text/plain"}),
            ]
        )
