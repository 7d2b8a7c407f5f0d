"""The accounts of one study, opened: all models of an account share its one provider and so its limits.

An account that serves models on this machine has one server process, and so one provider, for each model file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agentsim.providers.account import Account, open_account
from agentsim.providers.base import Provider
from agentsim.providers.catalogue import Catalogue
from agentsim.providers.cut_prompts import CutPrompts
from agentsim.providers.ledger import Booked, Ledger
from agentsim.providers.limits.halt import Halt
from agentsim.providers.limits.retried import OnRetry
from agentsim.providers.settings import ProviderSettings

__all__ = ["Accounts"]


class Accounts:
    """Opens each account when it is first asked for, and once."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        ledger: Ledger | None = None,
        on_retry: OnRetry | None = None,
        on_width: Callable[[str, int, int], None] | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        """Every paid call is written down in the `ledger`, if there is one, and keeps to its limit.

        `on_width` is told an account's name, how many calls may be under way there now, and how many at most.
        `on_note` is told, once for each model, that its server counts fewer tokens of input than its prompts can have.
        """
        self._catalogue = catalogue
        self._ledger = ledger
        self._on_retry = on_retry
        self._on_width = on_width
        self._on_note = on_note
        self._halt = Halt()
        self._open: dict[tuple[str, str | None], Account] = {}

    def open(self, model: str) -> Provider:
        """Return the provider that answers for the model, the same for all models that share its limits.

        Raises:
            AuthError, ModelFileError, ScenarioError: as `Catalogue.check`.
        """
        name, _, model_name = model.partition("/")
        settings = self._catalogue.settings(model)
        own = model_name if settings.speaks.serves_here else None
        if (name, own) not in self._open:
            self._open[name, own] = open_account(
                name,
                settings,
                environ=self._catalogue.environ,
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

    def _booked(self, name: str, settings: ProviderSettings, adapter: Provider) -> Provider:
        if self._on_note is not None:
            adapter = CutPrompts(adapter, account=name, tell=self._on_note)
        if self._ledger is None or settings.speaks.serves_here:
            return adapter
        return Booked(adapter, self._ledger, price=lambda model: self._catalogue.price(f"{name}/{model}"), account=name)

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
