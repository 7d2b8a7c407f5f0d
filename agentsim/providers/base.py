"""What every provider takes and gives: text in, text out; providers know nothing of games.

`Prompt` and `Completion` are pydantic values because both are written to the run's log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, Any, Final, Literal, Protocol, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

__all__ = [
    "MOST_TOKENS",
    "PLAIN",
    "Call",
    "Completion",
    "FinishReason",
    "Hedge",
    "Held",
    "Layer",
    "Message",
    "Prompt",
    "Provider",
    "Sampling",
    "Usage",
    "n_bytes",
]

FinishReason = Literal["stop", "length", "filtered", "refused", "other"]
"""Why the model stopped: of its own accord, at max_tokens, by a content filter, by refusing, or something else."""


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Value):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(Value):
    """How the text is drawn; `None` means that the parameter is not sent."""

    temperature: float | None = None
    max_tokens: int | None = None
    """The most tokens the answer may have."""
    top_p: float | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further parameters of the provider's API, sent as they are in the request's body."""


class Prompt(Value):
    """All that is sent for one completion, apart from the account's key and address."""

    model: str
    """The model's name as the provider knows it, without the provider's own name before it."""
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    answer_schema: dict[str, Any] | None = Field(default=None, exclude_if=lambda schema: schema is None)
    """The JSON schema that the server is to hold the answer to; `None`: free text."""


def n_bytes(messages: Iterable[Message]) -> int:
    """Return the bytes of the messages' contents, as UTF-8: no tokenizer in use makes more tokens of them."""
    return sum(len(message.content.encode()) for message in messages)


MOST_TOKENS: Final = 10**9
"""Of one call. No model reads or writes as many; sums over millions of calls still fit 64 bits."""


def _plausible_count(count: int | None) -> int | None:
    """Read a number that can be no count of tokens as one that is not known."""
    return count if count is not None and 0 <= count <= MOST_TOKENS else None


Count = Annotated[int | None, AfterValidator(_plausible_count)]


class Usage(Value):
    """Tokens as the provider counted them; `None` where it did not say, or said what can be no count of one call."""

    input_tokens: Count = None
    """All tokens of the prompt, cached ones included."""
    cached_tokens: Count = None
    """Those of `input_tokens` read from the provider's cache."""
    output_tokens: Count = None
    """All tokens of the answer, reasoning included."""
    reasoning_tokens: Count = None
    """Those of `output_tokens` spent on hidden reasoning."""


def _scalar_values(text: str) -> str:
    """Replace lone surrogates, which are no characters and cannot be stored as UTF-8."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


class Hedge(Value):
    """A second copy of the call was sent because the first was slow; both may be billed."""

    after_s: float
    """Seconds the first copy had been under way."""
    winner: Literal["first", "second"]
    """The copy whose answer this is; the other was cancelled."""


class Completion(Value):
    """What came back for one prompt."""

    text: Annotated[str, BeforeValidator(_scalar_values)]
    """The answer's text; empty where the model gave none (see `finish_reason`)."""
    model: str | None
    """The model that answered, in the server's words; `None` where it did not say."""
    thoughts: Annotated[str, BeforeValidator(_scalar_values)] | None = Field(
        default=None, exclude_if=lambda thoughts: thoughts is None
    )
    """What the model thought before it answered, where the server sends that apart from the text; no answer."""
    finish_reason: FinishReason
    finish_detail: str | None = None
    """The server's own word for `finish_reason`, or the text of its refusal; only `stop` is a whole reply."""
    usage: Usage = Usage()
    latency_s: float
    """Seconds from sending the request to having the whole answer, without waiting for a limit."""
    request_id: str | None = None
    """The server's id of the call, to ask its owner about."""
    hedge: Hedge | None = Field(default=None, exclude_if=lambda hedge: hedge is None)
    """That a second copy was sent, if so."""


class Held:
    """The place of an answered call, kept while its answer is being stored: what is not stored yet counts as in flight.

    The caller makes one for each call, and releases it whatever comes of the call.
    """

    def __init__(self) -> None:
        self._release: Callable[[], None] | None = None

    def keep(self, release: Callable[[], None]) -> None:
        """Take a place over, which `release` gives back."""
        self._release = release

    def hand_over(self, other: Held) -> None:
        """Give the place, if there is one, to another to keep."""
        self._release, other._release = None, self._release

    def release(self) -> None:
        """Give the place back; without one, or a second time, nothing happens."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Call:
    """What a call needs beside its prompt; every layer passes it on to the provider that it stands around."""

    n_after: int = 0
    """How many calls, one after the other, must still follow this one: who has more before it goes first.

    So no society is left alone at a study's end with a chain of calls that nothing can shorten.
    """
    is_wanted: Callable[[], bool] = _always
    """Says whether the caller still wants an answer that has not been asked for yet."""
    on_sent: Callable[[], None] | None = None
    """Called when the limits allow the request."""
    held: Held | None = None
    """Keeps the call's place until the caller releases it; `None`: the place is free when the answer is there."""
    times: float = 0.0
    """How many times the usual the call is waited for, as its question was given up before; 0 for its first call."""


PLAIN: Final = Call()
"""A call about which nothing is special."""


class Provider(Protocol):
    """Anything that completes prompts: an adapter for one API dialect, or a layer around one."""

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the model's completion of `prompt`.

        Raises:
            TransientError: asking again may help.
            FatalProviderError: asking again cannot help.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and processes."""
        ...


class Layer:
    """A provider around another one, which forwards what it leaves alone."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the inner provider's completion.

        Raises:
            ProviderError: as the inner provider.
        """
        return await self._provider.complete(prompt, call)

    async def aclose(self) -> None:
        """Close the inner provider."""
        await self._provider.aclose()
