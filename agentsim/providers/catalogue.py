"""The models that a study can use, and their prices: the settings of its accounts, validated once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from agentsim.errors import AuthError, ScenarioError
from agentsim.providers.base import Sampling
from agentsim.providers.bounds import output_bound
from agentsim.providers.dialects.connection import check_way
from agentsim.providers.dialects.wire import check_key
from agentsim.providers.key_command import KeyCommand
from agentsim.providers.prices import Price, known_price
from agentsim.providers.settings import AccountSettings, missing_key, resolve, unsupported

__all__ = ["Catalogue"]


class Catalogue:
    """The accounts that a study may use; makes no calls. Models have full names, such as `openai/gpt-4o-2024-08-06`."""

    def __init__(self, overrides: Mapping[str, Mapping[str, Any]], *, environ: Mapping[str, str]) -> None:
        """`overrides` are a scenario's `providers`; `environ` is the process's environment."""
        self.environ = environ
        self._overrides = overrides
        self._settings: dict[str, AccountSettings] = {}
        self._prices: dict[str, Price | None] = {}
        self._key_commands: dict[str, KeyCommand] = {}

    def settings(self, model: str) -> AccountSettings:
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
        """Check, without a call, that the model can be used with these sampling parameters.

        Raises:
            AuthError: the API key is missing or malformed, or the command that prints it failed.
            ModelFileError: the weights or llama.cpp are missing.
            ScenarioError: there is no such account, or its dialect lacks a sampling parameter.
        """
        name, _, model_name = model.partition("/")
        settings = self.settings(model)
        if variable := missing_key(settings, self.environ):
            raise AuthError(f"{model} needs an API key: set the environment variable {variable}")
        if (command := self.key_command(model)) is not None:
            command.key()
        elif settings.addresses:
            key = None if settings.api_key_env is None else self.environ[settings.api_key_env]
            check_key(key, name=f"the account {name!r}")
        for url in settings.addresses:
            check_way(url, name=name, environ=self.environ)
        if settings.speaks.find_model is not None:
            settings.speaks.find_model(model_name)
        if sampling is not None and (names := unsupported(settings, sampling)):
            raise ScenarioError(f"the account {name!r} cannot be sent players.{', players.'.join(names)}: remove it")

    def key_command(self, model: str) -> KeyCommand | None:
        """Return the command that prints the key of the model's account, the same for all its models; or `None`."""
        name, command = model.partition("/")[0], self.settings(model).api_key_command
        if command is not None and name not in self._key_commands:
            self._key_commands[name] = KeyCommand(command, account=name)
        return self._key_commands.get(name)

    def price(self, model: str) -> Price | None:
        """Return the model's price: stated in the scenario, or else listed; `None` if it is not known."""
        if model not in self._prices:
            self._prices[model] = self._find_price(model)
        return self._prices[model]

    def _find_price(self, model: str) -> Price | None:
        name, _, model_name = model.partition("/")
        settings = self.settings(model)
        if stated := settings.prices.get(model_name):
            return Price(**stated.model_dump(), source="stated in the scenario")
        if settings.speaks.serves_here:
            return Price(input=0, output=0, source="runs on this machine")
        listed = {known_price(name, model_name, url) for url in settings.addresses or (None,)}
        return listed.pop() if len(listed) == 1 else None

    def describe(self, model: str) -> dict[str, Any]:
        """Return the settings of the model's account, and its price if known, as JSON-able data without the API key."""
        settings = self.settings(model).model_dump(mode="json", exclude={"prices"})
        price = self.price(model)
        return {**settings, "price": None if price is None else price.model_dump(mode="json")}

    def is_paid(self, model: str) -> bool:
        """Whether calls of the model may be billed: it does not run on this machine."""
        return not self.settings(model).speaks.serves_here

    def check_price(self, model: str, *, sampling: Sampling) -> None:
        """Check that a budget can be kept with this model.

        Raises:
            ScenarioError: its price is not known, or nothing bounds the length of its answers.
        """
        name, _, model_name = model.partition("/")
        if self.price(model) is None:
            raise ScenarioError(
                f"a budget needs the price of {model}, which is not known: state it in US dollars per million tokens,"
                f" as in providers: {{{name}: {{prices: {{{model_name}: {{input: 2.5, output: 10}}}}}}}}"
            )
        if output_bound(sampling) is None:
            raise ScenarioError(
                f"a budget needs players.max_tokens, or players.extra.max_completion_tokens, as a number above 0:"
                f" nothing else bounds the cost of an answer of {model}"
            )
