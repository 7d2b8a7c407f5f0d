"""One account: a provider with its limits, its hedging and its retries around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from agentsim.errors import AuthError, BadRequest, ScenarioError
from agentsim.providers.base import Layer, Provider
from agentsim.providers.dialects.dialect import Opening
from agentsim.providers.limits.early_timeout import Patient
from agentsim.providers.limits.halt import Halt
from agentsim.providers.limits.hedged import Hedged, percentile_of
from agentsim.providers.limits.limited import Limited
from agentsim.providers.limits.outage import Outage
from agentsim.providers.limits.places import OnWidth
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
    model: str | None = None,
    on_retry: OnRetry | None = None,
    on_width: OnWidth | None = None,
    halt: Halt | None = None,
    within: Callable[[Provider], Provider] = lambda provider: provider,
) -> Account:
    """Return the account's provider, with its limits and retries around it; no call is made yet.

    `model` is needed for a local account: an embedded model's name or the path of a .gguf file. `within` puts a layer
    around the adapter, inside the limits.

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
    opening = Opening(
        name=name,
        base_url=settings.base_url,
        api_key=key,
        timeout_s=settings.timeout_s,
        model=model,
        slots=settings.concurrency,
        context=settings.context,
        threads=settings.threads,
    )
    try:
        adapter, ready = dialect.open(opening)
    except (ValueError, OSError, RuntimeError) as error:
        said = Secret(key).scrub(str(error))
        raise ScenarioError(f"no client can be built for the account {name!r}: {said[:300]}") from None
    return Account(name, settings, within(adapter), halt=halt, ready=ready, on_retry=on_retry, on_width=on_width)


class Account(Layer):
    """A provider with its account's early timeout and limits around it, then its hedging, then its retries."""

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
        """`on_retry` is called for repeated calls, `on_width` when the number of calls that may be under way changes.

        `halt` ends all waiting for limits and repetitions; `ready` is awaited before each call.
        """
        halt = halt or Halt()
        # If as many calls fail in a row as can be under way, no call is answered.
        threshold = max(MIN_FAILURES, settings.concurrency)
        outage = Outage(name=name, threshold=threshold, max_s=settings.max_outage_s)
        if settings.gives_up_early and not settings.speaks.serves_here:
            provider = Patient(provider, most_s=settings.timeout_s)
        self._limited = Limited(
            provider,
            concurrency=settings.concurrency,
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
            outage=outage,
            halt=halt,
            ready=ready,
            deadline_s=settings.timeout_s,
            max_rest_s=settings.max_wait_s,
            on_width=on_width,
        )
        self._settings = settings
        hedge = settings.hedge
        asked: Provider = self._limited if hedge is None else Hedged(self._limited, after=percentile_of(hedge.after))
        retried = Retried(
            asked,
            attempts=settings.attempts,
            max_wait_s=settings.max_wait_s,
            outage=outage,
            halt=halt,
            on_retry=on_retry,
        )
        super().__init__(retried)

    def drain(self) -> None:
        """Send nothing more; answers to calls already sent still arrive."""
        self._limited.drain()

    def least_s(self) -> dict[str, float]:
        """Return, for each limit, the fewest seconds in which this sitting's calls could be made under it."""
        load, settings = self._limited.load, self._settings
        least_s = {"calls in flight": load.busy_s / settings.concurrency}
        if settings.requests_per_minute is not None:
            least_s["requests a minute"] = 60 * max(0, load.n_sent - 1) / settings.requests_per_minute
        if settings.tokens_per_minute is not None:  # the first minute's tokens are available at once
            least_s["tokens a minute"] = 60 * max(0.0, load.tokens / settings.tokens_per_minute - 1)
        return least_s
