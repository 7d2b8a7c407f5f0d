"""What all workers of a study must agree on: the limits of its accounts, its prices and its budget."""

from __future__ import annotations

from typing import Any, Final

from agentsim.orchestrator.engines.client import AccountGate, Client
from agentsim.orchestrator.opening import Opened

__all__ = ["gate_of", "terms_of"]

LIMITS: Final = ("concurrency", "requests_per_minute", "tokens_per_minute")


def terms_of(opened: Opened, *, budget: float | None) -> dict[str, Any]:
    """Return the terms of a study: its `budget`, and `providers`, the limits and prices of each account.

    Each of several servers of an account has its own, without a limit if the limits are the account's.
    """
    providers: dict[str, dict[str, Any]] = {}
    for model in sorted(opened.models):
        name, _, model_name = model.partition("/")
        settings, price = opened.catalogue.settings(model), opened.catalogue.price(model)
        if settings.speaks.serves_here:
            continue
        stated = {limit: getattr(settings, limit) for limit in LIMITS}
        none = dict.fromkeys(LIMITS)
        is_each = settings.limits_per == "server" and len(settings.addresses) > 1
        terms = providers.setdefault(name, (none if is_each else stated) | {"prices": {}})
        if budget is not None and price is not None:
            terms["prices"][model_name] = price.model_dump(mode="json", exclude={"source"})
        if len(settings.addresses) > 1:
            providers |= {_server(name, address): stated if is_each else none for address in settings.addresses}
    return {"budget": budget, "providers": providers}


def gate_of(
    opened: Opened, account: str, server: str | None, *, client: Client, budget: float | None
) -> AccountGate | None:
    """Return the gate of an account, or of one of its several servers; `None` if it has nothing to keep.

    Money is reserved for each time that a call is sent, and one call may be sent to several servers.
    """
    settings = opened.catalogue.settings(f"{account}/")
    has_money = budget is not None and (server is not None or len(settings.addresses) == 1)
    has_limits = len(settings.addresses) == 1 or (settings.limits_per == "server") == (server is not None)
    if not has_money and not has_limits:
        return None
    return AccountGate(
        client,
        account if server is None else _server(account, server),
        account=account,
        tokens_per_minute=settings.tokens_per_minute if has_limits else None,
        price=(lambda model: opened.catalogue.price(f"{account}/{model}")) if has_money else None,
    )


def _server(account: str, address: str) -> str:
    return f"{account} at {address}"
