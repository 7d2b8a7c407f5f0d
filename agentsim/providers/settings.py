"""Settings of accounts: the built-in ones, overridden by a scenario's `providers:`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from agentsim.errors import ScenarioError, did_you_mean, quote
from agentsim.providers.base import Sampling
from agentsim.providers.dialects.dialect import Dialect
from agentsim.providers.dialects.registry import built_in, dialects
from agentsim.providers.limits.hedged import percentile_of
from agentsim.providers.prices import StatedPrice

__all__ = ["AccountSettings", "HedgeSettings", "ProviderSettings", "missing_key", "resolve", "unsupported"]


def _is_dialect(name: str) -> str:
    if name not in dialects():
        near = did_you_mean(name, dialects()) or ";"
        raise ValueError(f"{quote(name)} is not allowed{near} it must be one of {', '.join(map(repr, dialects()))}")
    return name


def _with_names(schema: dict[str, Any]) -> None:
    schema["enum"] = list(dialects())


def _check_address(url: object) -> None:
    if not isinstance(url, str):
        raise ValueError(f"base_url {quote(url)} is not an address; write it like https://example.org/v1")
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        raise ValueError("base_url is not an address; write it like https://example.org/v1") from None
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise ValueError("base_url must not hold a user or password; name an environment variable in api_key_env")
    if is_address and "api-version" in parts.query:
        raise ValueError(
            "base_url must not hold ?api-version=; write Azure's address that needs none, such as"
            " https://NAME.openai.azure.com/openai/v1"
        )
    if not is_address or parts.query or parts.fragment or any(c.isspace() for c in url):
        raise ValueError(f"base_url {url[:200]!r} is not an address; write it like https://example.org/v1")


def _check_addresses(urls: Sequence[object]) -> tuple[Any, ...]:
    if not 1 <= len(urls) <= MOST_SERVERS:
        raise ValueError(f"base_url lists {len(urls):,} addresses; write 1 to {MOST_SERVERS:,}")
    known = set[str]()
    for number, url in enumerate(urls, 1):
        try:
            _check_address(url)
        except ValueError as error:
            raise ValueError(f"{error} (entry {number} of the list)") from None
        parts = urlsplit(str(url))
        same = parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower()).geturl().rstrip("/")
        if same in known:
            raise ValueError(f"base_url lists {str(url)[:200]!r} twice; write each server once")
        known.add(same)
    return tuple(urls)


DialectName = Annotated[str, AfterValidator(_is_dialect), Field(json_schema_extra=_with_names)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
MOST_SERVERS: Final = 1000


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

    dialect: DialectName = "openai"
    """The API's language; `local`: llama.cpp on this machine."""
    base_url: str | tuple[str, ...] | None = None
    """The server's address, such as http://localhost:11434/v1; none for a local account. A list: several servers of
    one's own with the same models. Each call goes to the one that should answer it first, and elsewhere if it fails."""
    limits_per: Literal["account", "server"] = Field(default="account", exclude_if=lambda per: per == "account")
    """Whether `concurrency`, `requests_per_minute` and `tokens_per_minute` are of all servers together or of each."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """The environment variable that holds the API key; `null` for servers that need none."""
    concurrency: int = Field(default=32, ge=1, le=10_000)
    """The most calls in flight; of a local account, the server's slots."""
    requests_per_minute: int | None = Field(default=None, ge=1)
    """The most calls that begin in any minute; `null`: no limit."""
    tokens_per_minute: int | None = Field(default=None, ge=1)
    """Tokens of prompts and answers together."""
    timeout_s: Seconds = 120.0
    """Seconds until the whole answer must be there."""
    gives_up_early: bool = True
    """Repeat a call early if it takes twice as long as any of the model's last 300 answers, and at least 5 s."""
    attempts: int = Field(default=10, ge=1, le=1000)
    """How often a call is made if its failures are transient; refusals while other calls are answered do not count."""
    max_wait_s: Seconds = 60.0
    """The longest wait in seconds before a call is repeated; if a server asks for more, the call fails."""
    max_outage_s: Seconds = 900.0
    """For how many seconds an account may answer no call, or refuse the same call, before the study stops."""
    context: int | None = Field(default=None, ge=256)
    """Tokens of prompt and answer together, of a local account; default: 4096."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of a local account's server; default: one per usable core."""
    own_server: bool | None = Field(default=None, exclude_if=lambda own: own is None)
    """Whether a local account starts a server of its own. By default, processes on one machine share one server for the
    same model with the same settings, because llama.cpp slows down beside other work on its cores."""
    hedge: HedgeSettings | None = None
    """`{after: p95}`: send calls slower than that percentile a second time; favours short answers, and costs more."""
    prices: dict[str, StatedPrice] = Field(default_factory=dict)
    """Model -> US dollars per million tokens, for models whose price is unknown or different for you."""

    @property
    def speaks(self) -> Dialect:
        """The dialect itself."""
        return dialects()[self.dialect]

    @property
    def addresses(self) -> tuple[str, ...]:
        """The servers' addresses; none of a local account."""
        if self.base_url is None:
            return ()
        return (self.base_url,) if isinstance(self.base_url, str) else self.base_url

    @property
    def n_limited(self) -> int:
        """How many times the stated limits hold: once for all servers together, or once for each."""
        return len(self.addresses) if self.limits_per == "server" else 1

    @field_validator("base_url", mode="before")
    @classmethod
    def _is_address(cls, url: object) -> object:
        if isinstance(url, list | tuple):
            return _check_addresses(url)
        if url is not None:
            _check_address(url)
        return url

    @model_validator(mode="after")
    def _fits_dialect(self) -> Self:
        if self.speaks.serves_here:
            if extra := [name for name in ("base_url", "api_key_env") if getattr(self, name) is not None]:
                raise ValueError(f"a local account has no {' and no '.join(extra)}; remove it")
        elif self.base_url is None:
            raise ValueError("base_url is missing; write the server's address, such as http://localhost:11434/v1")
        elif extra := [name for name in ("context", "threads", "own_server") if getattr(self, name) is not None]:
            raise ValueError(f"only local accounts have {' and '.join(extra)}; remove it")
        return self


class AccountSettings(ProviderSettings):
    """An account's settings, with what only the user's own file may say."""

    api_key_command: tuple[str, ...] | None = Field(default=None, exclude=True, repr=False)
    """A command that prints the API key, run without a shell: a list of words, or a text that is split into words. It
    is run again once the server has refused the key, so that keys may expire."""

    @field_validator("api_key_command", mode="before")
    @classmethod
    def _words(cls, command: object) -> object:
        if command is None:
            return None
        try:
            words = shlex.split(command) if isinstance(command, str) else command
        except ValueError as error:
            raise ValueError(f"api_key_command cannot be split into words: {str(error).lower()}") from None
        if not isinstance(words, list | tuple) or not words or not all(isinstance(one, str) and one for one in words):
            raise ValueError("api_key_command must be a command, such as `vault read -field=key secret/openai`")
        if any("\0" in one for one in words):
            raise ValueError("api_key_command must not hold a zero character")
        return tuple(words)

    @model_validator(mode="after")
    def _has_one_key(self) -> Self:
        if self.api_key_command is not None and self.speaks.serves_here:
            raise ValueError("a local account has no api_key_command; remove it")
        if self.api_key_command is not None and self.api_key_env is not None:
            raise ValueError("write api_key_env or api_key_command, not both")
        return self


def resolve(name: str, overrides: Mapping[str, Any] | None = None) -> AccountSettings:
    """Return the settings of the account `name`: the built-in ones, overridden by the user's.

    Raises:
        ScenarioError: no such account is built in, and the user has no settings for it.
        pydantic.ValidationError: a setting is wrong; its `loc` begins at the keys of the account.
    """
    known = built_in()
    if overrides is None and name not in known:
        raise ScenarioError(
            f"no account is called {name!r}; the built-in ones are {', '.join(known)};"
            f" describe it in the scenario, as in providers: {{{name}: {{base_url: http://localhost:11434/v1}}}}"
        )
    built = dict(known.get(name, {}))
    if overrides and overrides.get("api_key_command") is not None:
        built.pop("api_key_env", None)
    return AccountSettings.model_validate({**built, **(overrides or {})}, strict=True)


def missing_key(settings: ProviderSettings, environ: Mapping[str, str]) -> str | None:
    """Return the environment variable that should hold the API key but does not; `None` if none is missing."""
    name = settings.api_key_env
    return name if name is not None and not environ.get(name, "").strip() else None


def unsupported(settings: ProviderSettings, sampling: Sampling) -> list[str]:
    """Return the names of the sampling parameters that the account's dialect cannot send."""
    return settings.speaks.unsupported(sampling)
