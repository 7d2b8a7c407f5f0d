"""Accounts with providers: their settings as a scenario gives them, and the providers opened from them.

A model is named `account/model`. All models of an account share its one provider and so its limits; a local account
has one server process a model file, and so one provider a model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agentsim.errors import AuthError, BadRequest, ScenarioError
from agentsim.providers.base import PLAIN, Call, Completion, Prompt, Provider, Sampling
from agentsim.providers.bounds import output_bound
from agentsim.providers.cut_prompts import CutPrompts
from agentsim.providers.dialects import anthropic, local, openai
from agentsim.providers.dialects.connection import check_way
from agentsim.providers.dialects.wire import check_key
from agentsim.providers.keys import Secret
from agentsim.providers.ledger import Booked, Ledger
from agentsim.providers.limits.early_timeout import Patient
from agentsim.providers.limits.halt import Halt
from agentsim.providers.limits.hedged import Hedged, percentile_of
from agentsim.providers.limits.limited import Limited
from agentsim.providers.limits.outage import Outage
from agentsim.providers.limits.places import OnWidth
from agentsim.providers.limits.retried import OnRetry, Retried
from agentsim.providers.prices import Price, StatedPrice, known_price

__all__ = [
    "BUILT_IN",
    "Account",
    "Accounts",
    "ProviderSettings",
    "missing_key",
    "open_account",
    "resolve",
    "unsupported",
]

MIN_FAILURES = 12
"""Failures in a row that are an outage, of an account with few calls under way."""
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class HedgeSettings(BaseModel):
    """When a second copy of a slow call is sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: str = "p95"
    """The percentile of the model's latest latencies, p50 to p99."""

    @field_validator("after")
    @classmethod
    def _is_percentile(cls, text: str) -> str:
        percentile_of(text)
        return text


class ProviderSettings(BaseModel):
    """One account as a scenario's `providers:` gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dialect: Literal["openai", "anthropic", "local"] = "openai"
    """The API's language; `local`: llama.cpp on this machine."""
    base_url: str | None = None
    """Where the server is, as http://localhost:11434/v1; none for a local account."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """The environment variable that holds the key; `null` for servers that want none."""
    concurrency: int = Field(default=32, ge=1, le=10_000)
    """The most calls in flight; of a local account, the server's slots."""
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    """Of prompts and answers together."""
    timeout_s: Seconds = 120.0
    """Seconds until the whole answer must be there."""
    gives_up_early: bool = True
    """Ask again before that what takes twice as long as any of the model's last 300 answers, and 5 s at least."""
    attempts: int = Field(default=10, ge=1, le=1000)
    """How often one call is made as long as its failures may pass; refusals while others are answered do not count."""
    max_wait_s: Seconds = 60.0
    """The longest wait before a call is repeated, in seconds; a server that asks for more is not waited for."""
    max_outage_s: Seconds = 900.0
    """How long the account may answer nothing at all, or refuse one call again and again, before the study stops."""
    context: int | None = Field(default=None, ge=256)
    """Tokens of prompt and answer together, of a local account; default: 4096."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of a local account's server; default: one a usable core."""
    hedge: HedgeSettings | None = None
    """`{after: p95}`: ask a second time what is slower than that percentile; favours short answers, and costs."""
    prices: dict[str, StatedPrice] = Field(default_factory=dict)
    """Model -> US dollars a million tokens, for models whose price is not known or is another for you."""

    @field_validator("base_url")
    @classmethod
    def _is_plain_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            raise ValueError("base_url is no address; write it as https://example.org/v1") from None
        if parts.username is not None or parts.password is not None or "@" in parts.netloc:
            raise ValueError("base_url may hold no user or password; name an environment variable in api_key_env")
        if is_address and "api-version" in parts.query:
            raise ValueError(
                "base_url can hold no ?api-version=; write Azure's address that needs none, as"
                " https://NAME.openai.azure.com/openai/v1"
            )
        if not is_address or parts.query or parts.fragment or any(c.isspace() for c in url):
            raise ValueError(f"base_url {url[:200]!r} is no address; write it as https://example.org/v1")
        return url

    @model_validator(mode="after")
    def _fits_dialect(self) -> Self:
        if self.dialect == "local":
            if extra := [name for name in ("base_url", "api_key_env") if getattr(self, name) is not None]:
                raise ValueError(f"a local account has no {' and no '.join(extra)}; remove it")
        elif self.base_url is None:
            raise ValueError("base_url is missing; write where the server is, as http://localhost:11434/v1")
        elif extra := [name for name in ("context", "threads") if getattr(self, name) is not None]:
            raise ValueError(f"only local accounts have {' and '.join(extra)}; remove it")
        return self


BUILT_IN: Final[Mapping[str, Mapping[str, Any]]] = {
    "openai": {"base_url": openai.OPENAI_BASE_URL, "api_key_env": "OPENAI_API_KEY"},
    "anthropic": {
        "dialect": "anthropic",
        "base_url": anthropic.ANTHROPIC_BASE_URL,
        "api_key_env": "ANTHROPIC_API_KEY",
    },
    "gemini": {
        "base_url": "https://generativelanguage.googleapis.com/v1beta/openai/",
        "api_key_env": "GEMINI_API_KEY",
    },
    "local": {"dialect": "local", "concurrency": local.DEFAULT_SLOTS, "timeout_s": 600.0, "attempts": 3},
}
"""The accounts that need no settings of the user's."""


def resolve(name: str, overrides: Mapping[str, Any] | None = None) -> ProviderSettings:
    """Return the settings of the account `name`: the built-in ones, the user's over them.

    Raises:
        ScenarioError: no such account is built in and the user's settings describe none.
        pydantic.ValidationError: a setting is wrong; its `loc` begins at the account's own keys.
    """
    if overrides is None and name not in BUILT_IN:
        raise ScenarioError(
            f"no account is called {name!r}: built in are {', '.join(BUILT_IN)};"
            f" describe it in the scenario, as providers: {{{name}: {{base_url: http://localhost:11434/v1}}}}"
        )
    return ProviderSettings.model_validate({**BUILT_IN.get(name, {}), **(overrides or {})}, strict=True)


def missing_key(settings: ProviderSettings, environ: Mapping[str, str]) -> str | None:
    """Return the name of the environment variable that should hold the key and does not, if so."""
    name = settings.api_key_env
    return name if name is not None and not environ.get(name, "").strip() else None


def unsupported(settings: ProviderSettings, sampling: Sampling) -> list[str]:
    """Return the names of the sampling parameters that the account's dialect cannot send."""
    return anthropic.unsupported(sampling) if settings.dialect == "anthropic" else openai.unsupported(sampling)


def open_account(
    name: str,
    settings: ProviderSettings,
    *,
    environ: Mapping[str, str],
    model: str | None = None,
    on_retry: OnRetry | None = None,
    on_width: OnWidth | None = None,
    halt: Halt | None = None,
    within: Callable[[Provider], Provider] = lambda provider: provider,
) -> Account:
    """Return the account's provider, with its limits and retries around it; nothing is asked yet.

    `model` is needed for a local account: an embedded model's name or the path of a .gguf file. `within` puts a layer
    around the adapter, inside of the limits.

    Raises:
        AuthError: the key is missing or cannot be one.
        ModelFileError: a local model's weights are not there.
        ScenarioError: no client can be built for the account.
    """
    if variable := missing_key(settings, environ):
        raise AuthError(f"the account {name!r} needs an API key: set the environment variable {variable}")
    adapter: Provider
    ready = None
    if settings.dialect == "local":
        if model is None:
            raise BadRequest(f"the account {name!r} is local and needs a model's name")
        adapter = model_server = local.open_model(
            model,
            slots=settings.concurrency,
            context=settings.context or local.DEFAULT_CONTEXT,
            threads=settings.threads,
            timeout_s=settings.timeout_s,
        )
        ready = model_server.start
    else:
        dialect = anthropic.AnthropicProvider if settings.dialect == "anthropic" else openai.OpenAIProvider
        key = None if settings.api_key_env is None else environ[settings.api_key_env]
        try:
            adapter = dialect(api_key=key, base_url=settings.base_url, timeout_s=settings.timeout_s, name=name)
        except (ValueError, OSError, RuntimeError) as error:
            said = Secret(key).scrub(str(error))
            raise ScenarioError(f"no client can be built for the account {name!r}: {said[:300]}") from None
    return Account(name, settings, within(adapter), halt=halt, ready=ready, on_retry=on_retry, on_width=on_width)


class Account:
    """A provider with its account's patience and limits around it, then its hedging, then its retries."""

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        provider: Provider,
        *,
        halt: Halt | None = None,
        ready: Callable[[], Awaitable[object]] | None = None,
        on_retry: OnRetry | None = None,
        on_width: OnWidth | None = None,
    ) -> None:
        """`on_retry` and `on_width` are told of repeated calls and of changes in how many may be under way.

        `halt` ends all waiting for limits and repetitions; `ready` is awaited before each call.
        """
        halt = halt or Halt()
        # As many failures in a row as calls are under way: nobody got an answer.
        threshold = max(MIN_FAILURES, settings.concurrency)
        self._outage = Outage(name=name, threshold=threshold, max_s=settings.max_outage_s)
        if settings.gives_up_early and settings.dialect != "local":
            provider = Patient(provider, most_s=settings.timeout_s)
        self._limited = Limited(
            provider,
            concurrency=settings.concurrency,
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
            outage=self._outage,
            halt=halt,
            ready=ready,
            deadline_s=settings.timeout_s,
            max_rest_s=settings.max_wait_s,
            on_width=on_width,
        )
        self._settings = settings
        hedge = settings.hedge
        asked: Provider = self._limited if hedge is None else Hedged(self._limited, after=percentile_of(hedge.after))
        self._retried = Retried(
            asked,
            attempts=settings.attempts,
            max_wait_s=settings.max_wait_s,
            outage=self._outage,
            halt=halt,
            on_retry=on_retry,
        )

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the model's completion of `prompt`, asked again as often as the settings say.

        With a `call.held` the call's place is taken until that is released.

        Raises:
            ProviderError: there is none; the run can go on later unless it is fatal.
        """
        return await self._retried.complete(prompt, call)

    def drain(self) -> None:
        """Send nothing more; calls already made still come in."""
        self._limited.drain()

    def least_s(self) -> dict[str, float]:
        """Return what each limit has cost: the least seconds in which this sitting's calls could be made under it."""
        load, settings = self._limited.load, self._settings
        found = {"calls in flight": load.busy_s / settings.concurrency}
        if settings.requests_per_minute is not None:
            found["requests a minute"] = 60 * max(0, load.n_sent - 1) / settings.requests_per_minute
        if settings.tokens_per_minute is not None:  # the first minute's tokens need not be waited for
            found["tokens a minute"] = 60 * max(0.0, load.tokens / settings.tokens_per_minute - 1)
        return found

    async def aclose(self) -> None:
        """Close the provider."""
        await self._retried.aclose()


class Accounts:
    """The accounts of one study; each is opened when first asked for, and once.

    Models are named in full, as `openai/gpt-4o-2024-08-06`.
    """

    def __init__(
        self,
        overrides: Mapping[str, Mapping[str, Any]],
        *,
        environ: Mapping[str, str],
        on_retry: OnRetry | None = None,
        on_width: Callable[[str, int, int], None] | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        """`overrides` are a scenario's `providers`; `environ` is the process's environment.

        `on_width` is told an account's name, how many calls may be under way there now, and how many at most.
        `on_note` is told, once for each model, that it bills more than its calls are bounded to, or counts fewer
        tokens of input than its prompts can have.
        """
        self._on_width = on_width
        self._halt = Halt()
        self._on_note = on_note
        self._ledger: Ledger | None = None
        self._overrides = overrides
        self._environ = environ
        self._on_retry = on_retry
        self._open: dict[tuple[str, str | None], Account] = {}
        self._settings: dict[str, ProviderSettings] = {}
        self._prices: dict[str, Price | None] = {}
        """What is known already: by account, and by model. Neither changes within a sitting."""

    def settings(self, model: str) -> ProviderSettings:
        """Return the settings of the model's account.

        Raises:
            ScenarioError: there is no such account, or a setting is wrong.
        """
        name = model.partition("/")[0]
        try:
            if name not in self._settings:
                self._settings[name] = resolve(name, self._overrides.get(name))
            return self._settings[name]
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["providers", name, *map(str, first["loc"])])
            raise ScenarioError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None

    def check(self, model: str, sampling: Sampling | None = None) -> None:
        """Find out, without asking anyone, whether the model can be asked with these sampling parameters.

        Raises:
            AuthError: the key is missing.
            ModelFileError: the weights are missing, or llama.cpp is.
            ScenarioError: there is no such account, or its dialect does not know a sampling parameter.
        """
        name, _, model_name = model.partition("/")
        settings = self.settings(model)
        if variable := missing_key(settings, self._environ):
            raise AuthError(f"{model} needs an API key: set the environment variable {variable}")
        if settings.base_url is not None:
            key = None if settings.api_key_env is None else self._environ[settings.api_key_env]
            check_key(key, name=f"the account {name!r}")
            check_way(settings.base_url, name=name, environ=self._environ)
        if settings.dialect == "local":
            local.check_model(model_name)
        if sampling is not None and (names := unsupported(settings, sampling)):
            raise ScenarioError(f"the account {name!r} cannot be sent players.{', players.'.join(names)}: remove it")

    def price(self, model: str) -> Price | None:
        """Return what the model's tokens cost: as the scenario states it, else as known; `None` if nobody knows."""
        if model not in self._prices:
            self._prices[model] = self._find_price(model)
        return self._prices[model]

    def _find_price(self, model: str) -> Price | None:
        name, _, model_name = model.partition("/")
        settings = self.settings(model)
        if stated := settings.prices.get(model_name):
            return Price(**stated.model_dump(), source="stated in the scenario")
        if settings.dialect == "local":
            return Price(input=0, output=0, source="runs on this machine")
        return known_price(name, model_name, settings.base_url)

    def describe(self, model: str) -> dict[str, Any]:
        """Return the settings of the model's account, and its price if known, as JSON-able data; never a key."""
        settings = self.settings(model).model_dump(mode="json", exclude={"prices"})
        price = self.price(model)
        return {**settings, "price": None if price is None else price.model_dump(mode="json")}

    def open(self, model: str) -> Provider:
        """Return the provider that answers for the model, the same for all models that share its limits.

        Raises:
            AuthError, ModelFileError, ScenarioError: as `check`.
        """
        name, _, model_name = model.partition("/")
        settings = self.settings(model)
        own = model_name if settings.dialect == "local" else None
        if (name, own) not in self._open:
            self._open[name, own] = open_account(
                name,
                settings,
                environ=self._environ,
                model=own,
                on_retry=self._on_retry,
                halt=self._halt,
                on_width=None if self._on_width is None else partial(self._tell_width, name, settings.concurrency),
                within=partial(self._booked, name, settings),
            )
        return self._open[name, own]

    def _tell_width(self, name: str, most: int, width: int) -> None:
        if self._on_width is not None:
            self._on_width(name, width, most)

    def least_s(self) -> dict[str, float]:
        """Return what each limit of each account has cost: the least seconds for this sitting's calls under it."""
        return {
            f"{what} of {name}" + (f"/{model}" if model else ""): seconds
            for (name, model), account in self._open.items()
            for what, seconds in account.least_s().items()
        }

    def is_paid(self, model: str) -> bool:
        """Whether calls of the model may be billed: all but those that run on this machine."""
        return self.settings(model).dialect != "local"

    def book_in(self, ledger: Ledger) -> None:
        """Let every call of accounts that are opened from now on be written down, and keep to the ledger's limit."""
        self._ledger = ledger
        if self._on_note is not None:
            ledger.on_beyond = self._on_note

    def _booked(self, name: str, settings: ProviderSettings, adapter: Provider) -> Provider:
        if self._on_note is not None:
            adapter = CutPrompts(adapter, account=name, tell=self._on_note)
        if self._ledger is None or settings.dialect == "local":
            return adapter
        return Booked(adapter, self._ledger, price=lambda model: self.price(f"{name}/{model}"), account=name)

    def check_price(self, model: str, *, sampling: Sampling) -> None:
        """Find out whether a budget can be kept with this model.

        Raises:
            ScenarioError: its price is not known, or nothing bounds the length of its answers.
        """
        name, _, model_name = model.partition("/")
        if self.price(model) is None:
            raise ScenarioError(
                f"a budget needs the price of {model}, which is not known: state it in US dollars a million tokens, as"
                f" providers: {{{name}: {{prices: {{{model_name}: {{input: 2.5, output: 10}}}}}}}}"
            )
        if output_bound(sampling) is None:
            raise ScenarioError(
                f"a budget needs players.max_tokens, or players.extra.max_completion_tokens, as a number above 0:"
                f" nothing else bounds what an answer of {model} costs"
            )

    def drain(self) -> None:
        """Send nothing more from any account, opened or to be opened; calls already made still come in."""
        self._halt.begin()
        if self._ledger is not None:
            self._ledger.drain()

    async def aclose(self) -> None:
        """Close every account opened."""
        while self._open:
            _, provider = self._open.popitem()
            await provider.aclose()
