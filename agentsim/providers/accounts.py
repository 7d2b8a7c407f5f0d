"""The open accounts of a study. All models of an account share its provider, and so its limits.

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
from agentsim.providers.limits.gate import Gates, no_gate
from agentsim.providers.limits.halt import Halt
from agentsim.providers.limits.retried import OnRetry
from agentsim.providers.settings import ProviderSettings

__all__ = ["Accounts"]


class Accounts:
    """Opens each account once, when it is first used."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        ledger: Ledger | None = None,
        on_retry: OnRetry | None = None,
        on_width: Callable[[str, int, int], None] | None = None,
        on_note: Callable[[str], None] | None = None,
        gates: Gates = no_gate,
    ) -> None:
        """Every paid call is recorded in the `ledger`, if there is one, and stays within its limit.

        `on_width` is called with an account's name, how many calls may now be under way, and the most that ever may.
        `on_note` is called once for each model whose server counts fewer input tokens than its prompts must have, and
        when one of several servers of an account is left out or taken back.
        `gates` return who keeps limits over several processes; accounts that serve models on this machine have none.
        """
        self._catalogue = catalogue
        self._ledger = ledger
        self._on_retry = on_retry
        self._on_width = on_width
        self._on_note = on_note
        self._gates = gates
        self._halt = Halt()
        self._open: dict[tuple[str, str | None], Account] = {}

    def open(self, model: str) -> Provider:
        """Return the provider that answers for the model, the same for all models that share its limits.

        Raises:
            AuthError, ModelFileError, ScenarioError: as `Catalogue.check`.
        """
        name, _, model_name = model.partition("/")
        settings = self._catalogue.settings(model)
        served = model_name if settings.speaks.serves_here else None
        if (name, served) not in self._open:
            self._open[name, served] = open_account(
                name,
                settings,
                environ=self._catalogue.environ,
                key_command=self._catalogue.key_command(model),
                model=served,
                on_retry=self._on_retry,
                halt=self._halt,
                gates=no_gate if settings.speaks.serves_here else self._gates,
                on_width=None if self._on_width is None else partial(self._tell_width, name, settings),
                on_note=self._on_note,
                within=partial(self._booked, name, settings),
            )
        return self._open[name, served]

    def _tell_width(self, name: str, settings: ProviderSettings, width: int) -> None:
        if self._on_width is not None:
            self._on_width(name, width, settings.concurrency * settings.n_limited)

    def least_s(self) -> dict[str, float]:
        """Return, for each limit of each account, the fewest seconds in which this sitting's calls could be made."""
        return {
            f"{what} of {name}" + (f"/{model}" if model else ""): seconds
            for (name, model), account in self._open.items()
            for what, seconds in account.least_s().items()
        }

    def _booked(self, name: str, settings: ProviderSettings, server: str, adapter: Provider) -> Provider:
        if self._on_note is not None:
            adapter = CutPrompts(adapter, account=server, tell=self._on_note)
        if self._ledger is None or settings.speaks.serves_here:
            return adapter
        return Booked(adapter, self._ledger, price=lambda model: self._catalogue.price(f"{name}/{model}"), account=name)

    def drain(self) -> None:
        """Send nothing more from any account, open or not yet open; answers to calls already sent still arrive."""
        self._halt.begin()
        if self._ledger is not None:
            self._ledger.drain()

    async def aclose(self) -> None:
        """Close every open account."""
        while self._open:
            _, provider = self._open.popitem()
            await provider.aclose()
