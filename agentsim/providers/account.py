"""One account: a provider, or one for each of its servers, with its limits, its hedging and its retries around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from agentsim.errors import AuthError, BadRequest, ScenarioError
from agentsim.providers.base import Layer, Provider
from agentsim.providers.dialects.dialect import Dialect, Opening
from agentsim.providers.key_command import KeyCommand, Rekeyed, Renewed
from agentsim.providers.limits.early_timeout import Patient
from agentsim.providers.limits.gate import Gate, Gates, no_gate
from agentsim.providers.limits.halt import Halt
from agentsim.providers.limits.hedged import Hedged, percentile_of
from agentsim.providers.limits.limited import Limited
from agentsim.providers.limits.outage import Outage
from agentsim.providers.limits.places import OnWidth
from agentsim.providers.limits.pool import Pool
from agentsim.providers.limits.retried import OnRetry, Retried
from agentsim.providers.secret import Secret
from agentsim.providers.settings import ProviderSettings, missing_key

__all__ = ["Account", "open_account"]

MIN_FAILURES = 12
"""The fewest failures in a row that are an outage."""


def open_account(
    name: str,
    settings: ProviderSettings,
    *,
    environ: Mapping[str, str],
    key_command: KeyCommand | None = None,
    model: str | None = None,
    on_retry: OnRetry | None = None,
    on_width: OnWidth | None = None,
    on_note: Callable[[str], None] | None = None,
    halt: Halt | None = None,
    gates: Gates = no_gate,
    within: Callable[[str, Provider], Provider] = lambda name, provider: provider,
) -> Account:
    """Return the account's provider, with its limits and retries around it; no call is made yet.

    `key_command` prints the account's key, and another one when that is refused; otherwise the key is in `environ`.
    `model` is needed for a local account: an embedded model's name or the path of a .gguf file. `within` puts a layer
    around each adapter, inside the limits, and is told the account's name, with the server's if there are several.
    `gates` keep the limits over several processes.

    Raises:
        AuthError: the API key is missing or malformed.
        ModelFileError: a local model's weights are missing.
        ScenarioError: no client can be built for the account.
    """
    if variable := missing_key(settings, environ):
        raise AuthError(f"the account {name!r} needs an API key: set the environment variable {variable}")
    dialect = settings.speaks
    if dialect.serves_here and model is None:
        raise BadRequest(f"the account {name!r} serves models on this machine and needs a model's name")
    key = None if settings.api_key_env is None else environ[settings.api_key_env]
    if key_command is not None:
        key = key_command.key()
    opened, ready = dict[str, Provider](), None
    for url in settings.addresses or (None,):
        named = name if url is None or len(settings.addresses) == 1 else f"{name} at {urlsplit(url).netloc}"
        opening = Opening(
            name=named,
            base_url=url,
            api_key=key,
            timeout_s=settings.timeout_s,
            model=model,
            slots=settings.concurrency,
            context=settings.context,
            threads=settings.threads,
            own_server=bool(settings.own_server),
        )
        try:
            adapter, ready = dialect.open(opening)
            if key_command is not None:
                adapter = Rekeyed(adapter, partial(_opened, dialect, opening), key_command)
                ready = key_command.ready
        except (ValueError, OSError, RuntimeError) as error:
            said = Secret(key).scrub(str(error))
            raise ScenarioError(f"no client can be built for the account {name!r}: {said[:300]}") from None
        opened[url or ""] = within(named, adapter)
    servers: Provider | Mapping[str, Provider] = opened if len(opened) > 1 else next(iter(opened.values()))
    return Account(
        name,
        settings,
        servers,
        halt=halt,
        gates=gates,
        ready=ready,
        key_command=key_command,
        on_retry=on_retry,
        on_width=on_width,
        on_note=on_note,
    )


def _opened(dialect: Dialect, opening: Opening, key: str) -> Provider:
    """Return an adapter with another key."""
    return dialect.open(replace(opening, api_key=key)).provider


class Account(Layer):
    """A provider with its account's early timeout and limits around it, then its hedging, then its retries.

    Several servers, each with an early timeout, are one provider (`Pool`).
    """

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        provider: Provider | Mapping[str, Provider],
        *,
        halt: Halt | None = None,
        gates: Gates = no_gate,
        ready: Callable[[], Awaitable[object]] | None = None,
        key_command: KeyCommand | None = None,
        on_retry: OnRetry | None = None,
        on_width: OnWidth | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        """`provider` is one for each address if the account has several servers.

        `on_retry` is called for repeated calls, `on_width` when the number of calls that may be under way changes,
        `on_note` when a server is left out or taken back. `halt` ends all waiting for limits and repetitions; `ready`
        is awaited before each call. `key_command` prints another key when one is refused.
        """
        halt = halt or Halt()
        self._settings = settings
        most = settings.concurrency * settings.n_limited
        # If as many calls fail in a row as can be under way, no call is answered.
        outage = Outage(name=name, threshold=max(MIN_FAILURES, most), max_s=settings.max_outage_s)
        if isinstance(provider, Mapping):
            provider = Pool(
                {
                    address: self._server(each, halt=halt, gate=gates(name, address))
                    for address, each in provider.items()
                },
                name=name,
                most=settings.concurrency,
                deadline_s=settings.timeout_s,
                max_rest_s=settings.max_wait_s,
                halt=halt,
                on_note=on_note,
            )
            deadline_s = None  # each server is sent few calls at first
        else:
            provider, deadline_s = self._patient(provider), settings.timeout_s
        is_each = settings.limits_per == "server" and deadline_s is None
        self._limited = Limited(
            provider,
            concurrency=most,
            requests_per_minute=None if is_each else settings.requests_per_minute,
            tokens_per_minute=None if is_each else settings.tokens_per_minute,
            outage=outage,
            halt=halt,
            ready=ready,
            deadline_s=deadline_s,
            max_rest_s=settings.max_wait_s,
            on_width=on_width,
            gate=gates(name, None),
        )
        hedge = settings.hedge
        asked: Provider = self._limited if hedge is None else Hedged(self._limited, after=percentile_of(hedge.after))
        if key_command is not None:
            asked = Renewed(asked, key_command, halt=halt)
        retried = Retried(
            asked,
            attempts=settings.attempts,
            max_wait_s=settings.max_wait_s,
            outage=outage,
            halt=halt,
            on_retry=on_retry,
        )
        super().__init__(retried)

    def _patient(self, provider: Provider) -> Provider:
        if not self._settings.gives_up_early or self._settings.speaks.serves_here:
            return provider
        return Patient(provider, most_s=self._settings.timeout_s)

    def _server(self, provider: Provider, *, halt: Halt, gate: Gate | None) -> Provider:
        """Return one of several servers with its early timeout, and with its limits if each has limits of its own."""
        settings, patient = self._settings, self._patient(provider)
        has_pace = settings.requests_per_minute is not None or settings.tokens_per_minute is not None
        if gate is None and (settings.limits_per == "account" or not has_pace):
            return patient
        return Limited(
            patient,
            concurrency=settings.concurrency,
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
            halt=halt,
            gate=gate,
        )

    def drain(self) -> None:
        """Send nothing more; answers to calls already sent still arrive."""
        self._limited.drain()

    def least_s(self) -> dict[str, float]:
        """Return, for each limit, the fewest seconds in which this sitting's calls could be made under it."""
        load, settings, n = self._limited.load, self._settings, self._settings.n_limited
        least_s = {"calls in flight": load.busy_s / (settings.concurrency * n)}
        if settings.requests_per_minute is not None:
            least_s["requests a minute"] = 60 * max(0, load.n_sent - n) / (settings.requests_per_minute * n)
        if settings.tokens_per_minute is not None:  # the first minute's tokens are available at once
            least_s["tokens a minute"] = 60 * max(0.0, load.tokens / (settings.tokens_per_minute * n) - 1)
        return least_s
