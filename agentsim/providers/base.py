"""What every provider takes and returns: text in, text out; providers know nothing of games.

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
"""Why the model stopped: it was done, reached max_tokens, was filtered, refused, or anything else."""


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Value):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(Value):
    """How the text is sampled; `None` means that the parameter is not sent."""

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
    """The provider's name for the model, without the account's name before it."""
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    answer_schema: dict[str, Any] | None = Field(default=None, exclude_if=lambda schema: schema is None)
    """The JSON schema that the server must enforce on the answer; `None`: free text."""


def n_bytes(messages: Iterable[Message]) -> int:
    """Return the bytes of the messages' contents in UTF-8; no tokenizer in use makes more tokens than that."""
    return sum(len(message.content.encode()) for message in messages)


MOST_TOKENS: Final = 10**9
"""The most tokens of one call: no model reads or writes as many, and sums over millions of calls fit 64 bits."""


def _plausible_count(count: int | None) -> int | None:
    """Return the count, or `None` if it cannot be a count of tokens."""
    return count if count is not None and 0 <= count <= MOST_TOKENS else None


Count = Annotated[int | None, AfterValidator(_plausible_count)]


class Usage(Value):
    """Tokens as the provider counted them; `None` if it reported no count, or an impossible one."""

    input_tokens: Count = None
    """All tokens of the prompt, including cached ones."""
    cached_tokens: Count = None
    """The part of `input_tokens` that was read from the provider's cache."""
    cache_write_tokens: Count = Field(default=None, exclude_if=lambda count: count is None)
    """The part of `input_tokens` that was written to the provider's cache, where it bills that apart."""
    output_tokens: Count = None
    """All tokens of the answer, including reasoning."""
    reasoning_tokens: Count = None
    """The part of `output_tokens` that was spent on hidden reasoning."""


def _scalar_values(text: str) -> str:
    """Replace lone surrogates, which cannot be stored as UTF-8."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


class Hedge(Value):
    """A second copy of the call was sent because the first was slow; both may be billed."""

    after_s: float
    """Seconds the first copy had been under way."""
    winner: Literal["first", "second"]
    """The copy that gave this answer; the other was cancelled."""


class Completion(Value):
    """A server's answer to one prompt."""

    text: Annotated[str, BeforeValidator(_scalar_values)]
    """The answer's text; empty if the model gave none (see `finish_reason`)."""
    model: str | None
    """The server's name for the model that answered; `None` if it gave none."""
    thoughts: Annotated[str, BeforeValidator(_scalar_values)] | None = Field(
        default=None, exclude_if=lambda thoughts: thoughts is None
    )
    """The model's reasoning, if the server sends it apart from the text; not part of the answer."""
    fingerprint: str | None = Field(default=None, exclude_if=lambda fingerprint: fingerprint is None)
    """The server's word for the configuration that answered (`system_fingerprint`); `None` if it gave none."""
    finish_reason: FinishReason
    finish_detail: str | None = None
    """The server's word for `finish_reason`, or the text of a refusal. Only an answer that ended in `stop` is whole."""
    usage: Usage = Usage()
    latency_s: float
    """Seconds from sending the request to having the whole answer; waiting for limits does not count."""
    request_id: str | None = None
    """The server's id of the call, for support requests."""
    hedge: Hedge | None = Field(default=None, exclude_if=lambda hedge: hedge is None)
    """Set if a second copy of the call was sent."""
    server: str | None = Field(default=None, exclude_if=lambda server: server is None)
    """The address of the server that answered, of an account with several."""


class Held:
    """Keeps an answered call's place while the answer is stored, so that unstored answers count as calls in flight.

    The caller makes one for each call and releases it, whatever the outcome.
    """

    def __init__(self) -> None:
        self._release: Callable[[], None] | None = None

    def keep(self, release: Callable[[], None]) -> None:
        """Take over a place; `release` gives it back."""
        self._release = release

    def hand_over(self, other: Held) -> None:
        """Pass the place, if there is one, on to `other`."""
        self._release, other._release = None, self._release

    def release(self) -> None:
        """Give the place back, if there is one; a second call does nothing."""
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
    """What a call needs besides its prompt; every layer passes it on to the provider inside it."""

    n_after: int = 0
    """How many calls must still follow this one, one after the other; the call with the most goes first.

    So no society is left at a study's end with a long chain of calls that cannot run in parallel.
    """
    is_wanted: Callable[[], bool] = _always
    """Returns whether the caller still wants the answer; asked just before the request is sent."""
    on_sent: Callable[[], None] | None = None
    """Called when the limits allow the request."""
    held: Held | None = None
    """Keeps the call's place until the caller releases it; `None`: the place is given back with the answer."""
    times: float = 0.0
    """The factor by which the early timeout is raised after earlier calls were given up; 0 for the first call."""
    asker: str | None = None
    """Who asks, as one name for all calls whose prompts begin alike; they go to one server if that costs nothing."""
    failed: frozenset[str] = frozenset()
    """The addresses of the servers, among several of an account, at which the call has just failed."""


PLAIN: Final = Call()
"""A call with all defaults."""


class Provider(Protocol):
    """Anything that completes prompts: an adapter for an API dialect, or a layer around another provider."""

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
    """A provider around another one; forwards whatever a subclass does not change."""

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
