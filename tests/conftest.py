"""What holds for every test: no network but loopback, no real keys."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""Before NumPy is loaded: test processes have a core each, and threads that wait for one another take twice as much."""

settings.register_profile("agentsim", deadline=None, derandomize=True)
settings.load_profile("agentsim")

_connect = socket.socket.connect


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave the machine."""

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"a test tried to reach {address!r}")
        return _connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the keys of whoever runs the tests."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    yield


@pytest.fixture(autouse=True)
def no_settings_of_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the settings of whoever runs the tests change none of them."""
    monkeypatch.delenv("AGENTSIM_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-config"))


@pytest.fixture(autouse=True)
def no_plugins_of_other_tests() -> Iterator[None]:
    """Forget what a test has added to what scenarios can name."""
    from agentsim.core.registry import REGISTRY
    from agentsim.providers.dialects.registry import _DIALECTS, dialects
    from agentsim.scenario.plugins import FILE

    yield
    for member in list(REGISTRY):
        REGISTRY.remove(member)
    for name in [name for name in sys.modules if name.startswith(FILE)]:
        del sys.modules[name]
    for name in set(dialects()) - {"openai", "anthropic", "local"}:
        del _DIALECTS[name]
