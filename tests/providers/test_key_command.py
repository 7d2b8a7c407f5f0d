"""Keys that a command of the user's own prints: run without a shell, asked again when one is refused, never shown."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import agentsim
from agentsim.errors import AuthError, KeyRefused, NotSent, ScenarioError, Unavailable
from agentsim.providers.accounts import Accounts
from agentsim.providers.base import Completion, Message, Prompt
from agentsim.providers.catalogue import Catalogue
from agentsim.providers.key_command import KeyCommand
from agentsim.providers.secret import Secret
from agentsim.providers.settings import ProviderSettings
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.user_settings import with_own
from agentsim.testing.faultserver import Answer, Behaviour, FaultServer, Request, Status

PROMPT = Prompt(model="m", messages=(Message(role="user", content="How much?"),))
TOKEN = "token-sentinel-51c0ffee"


def counting(folder: Path, *, before: str = "") -> list[str]:
    """Return a command that prints a new key each time, and leaves a line in `asked` for each."""
    script = folder / "key.py"
    script.write_text(
        f"import pathlib, sys\nasked = pathlib.Path({str(folder / 'asked')!r})\n"
        "with asked.open('a') as file: file.write('x')\n"
        f"n = len(asked.read_text())\n{before}\nprint(f'{TOKEN}-{{n}}')\n"
    )
    return [sys.executable, "-I", "-S", str(script)]


def n_asked(folder: Path) -> int:
    return len((folder / "asked").read_text())


class Expiring:
    """A server's memory of keys: the latest one printed is good for this many calls, all others are refused."""

    def __init__(self, folder: Path, *, n_calls: int) -> None:
        self._folder, self._n_calls = folder, n_calls
        self._used: dict[str, int] = {}
        self.n_refused = 0

    def __call__(self, request: Request) -> Behaviour:
        key = str(request.key)
        is_latest = key == f"{TOKEN}-{n_asked(self._folder)}"
        if not is_latest or self._used.get(key, 0) >= self._n_calls:
            self.n_refused += 1
            return Status(401, f"the token {key} has expired")
        self._used[key] = self._used.get(key, 0) + 1
        return Answer(f"{key}: 40 %")


def opened(folder: Path, url: str, **more: object) -> tuple[Catalogue, Accounts]:
    catalogue = Catalogue({"mine": {"base_url": url, "api_key_command": counting(folder), **more}}, environ={})
    return catalogue, Accounts(catalogue)


async def test_64_calls_in_flight_survive_keys_that_expire_and_no_answer_is_paid_for_twice(tmp_path: Path) -> None:
    server_side = Expiring(tmp_path, n_calls=90)
    async with FaultServer(server_side, latency=lambda: 0.02) as server:
        catalogue, accounts = opened(tmp_path, server.openai_url, concurrency=64)
        catalogue.check("mine/m")
        provider = accounts.open("mine/m")
        told = await asyncio.gather(*(provider.complete(PROMPT) for _ in range(400)))
        await accounts.aclose()
    assert len(told) == 400 and all(isinstance(one, Completion) for one in told)
    assert len(server.requests) == 400 + server_side.n_refused  # an answered call is made once
    assert n_asked(tmp_path) == 5  # 400 calls of 90 a key, and each key asked for once
    assert server_side.n_refused <= 4 * 64
    assert not any(TOKEN in one.text for one in told) and told[0].text == "***: 40 %"


async def test_a_key_that_is_refused_is_asked_for_once_by_all_calls_together(tmp_path: Path) -> None:
    command = KeyCommand(counting(tmp_path), account="mine")
    assert command.key() == f"{TOKEN}-1" == command.key()
    await asyncio.gather(*(command.renew(1) for _ in range(20)))
    assert (command.key(), command.number, n_asked(tmp_path)) == (f"{TOKEN}-2", 2, 2)


async def test_a_command_that_fails_once_stops_nothing_and_calls_that_waited_for_it_do_not_repeat_it(
    tmp_path: Path,
) -> None:
    fails = "if n == 2: sys.exit('please log in')"
    command = KeyCommand(counting(tmp_path, before=fails), account="mine")
    command.key()
    failed = await asyncio.gather(*(command.renew(1) for _ in range(20)), return_exceptions=True)
    assert n_asked(tmp_path) == 2
    assert all(isinstance(one, Unavailable) and not one.may_be_billed for one in failed)
    assert "ended with exit code 1: 'please log in'; run it by hand" in str(failed[0])
    await command.renew(1)
    assert command.key() == f"{TOKEN}-3"


async def test_a_key_that_the_server_never_takes_stops_with_one_sentence(tmp_path: Path) -> None:
    async with FaultServer([Status(401, "no such token")]) as server:
        catalogue, accounts = opened(tmp_path, server.openai_url)
        catalogue.check("mine/m")
        with pytest.raises(AuthError, match=r"HTTP 401.*5 keys of its api_key_command in a row"):
            await accounts.open("mine/m").complete(PROMPT)
        await accounts.aclose()
    assert n_asked(tmp_path) == 5


async def test_the_same_key_again_is_no_new_key() -> None:
    command = KeyCommand([sys.executable, "-I", "-S", "-c", f"print('{TOKEN}')"], account="mine")
    command.key()
    with pytest.raises(AuthError, match="printed the key that the server has just refused") as caught:
        await command.renew(1)
    assert TOKEN not in f"{caught.value}{command!r}"


async def test_only_the_refusal_of_the_key_itself_asks_for_another(tmp_path: Path) -> None:
    for status, message, n in (
        (403, "your project may not use this model", 1),
        (403, "The security token has expired", 5),
    ):
        (tmp_path / "asked").unlink(missing_ok=True)
        async with FaultServer([Status(status, message)]) as server:
            catalogue, accounts = opened(tmp_path, server.openai_url)
            catalogue.check("mine/m")
            with pytest.raises(AuthError):
                await accounts.open("mine/m").complete(PROMPT)
            await accounts.aclose()
        assert n_asked(tmp_path) == n


async def test_a_stop_ends_the_wait_for_a_key_and_the_command_with_it(tmp_path: Path) -> None:
    slow = "import time\nif n > 1: time.sleep(60)"
    async with FaultServer([Status(401)]) as server:
        mine = {"base_url": server.openai_url, "api_key_command": counting(tmp_path, before=slow)}
        catalogue = Catalogue({"mine": mine}, environ={})
        accounts = Accounts(catalogue)
        catalogue.check("mine/m")
        call = asyncio.ensure_future(accounts.open("mine/m").complete(PROMPT))
        while n_asked(tmp_path) < 2:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
        accounts.drain()
        with pytest.raises(NotSent):
            await call
        await accounts.aclose()


PYTHON = f"{sys.executable} -I -S -c "


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("/no/such/program --x", "cannot be run: No such file or directory"),
        (PYTHON + "'pass'", "printed nothing; it must print the key alone"),
        (PYTHON + f"'print(\"{TOKEN} {TOKEN}\")'", "printed more than one word, or characters beyond ASCII"),
        (PYTHON + "'print(\"\\u00e4\" * 9)'", "printed more than one word, or characters beyond ASCII"),
        (PYTHON + "'while True: print(\"x\" * 9999)'", "printed more than 64 KiB"),
        (PYTHON + "'import time; time.sleep(60)'", "did not end within 0.5 s; run it by hand"),
        (
            PYTHON
            + f'\'import sys; print("{TOKEN}"); print("{TOKEN} is old\\x1b[31m", file=sys.stderr); sys.exit(3)\'',
            r"ended with exit code 3: '\*\*\* is old\\x1b\[31m'; run it by hand",
        ),
    ],
)
def test_a_command_that_prints_no_key_is_one_clear_sentence_without_a_key(command: str, sentence: str) -> None:
    catalogue = Catalogue({"mine": {"base_url": "http://127.0.0.1:9", "api_key_command": command}}, environ={})
    found = KeyCommand(catalogue.settings("mine/m").api_key_command or (), account="mine", limit_s=0.5)
    with pytest.raises(
        AuthError, match=rf"^the api_key_command of the account 'mine' in your settings {sentence}"
    ) as e:
        found.key()
    assert TOKEN not in str(e.value) and "\n" not in str(e.value) and "\x1b" not in str(e.value)


def test_what_a_command_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    leaves = f"import subprocess; subprocess.Popen([{sys.executable!r}, '-c', 'import time; time.sleep(2)'])"
    command = KeyCommand(counting(tmp_path, before=leaves), account="mine", limit_s=1.5)
    assert command.key() == f"{TOKEN}-1"


def test_no_command_is_in_a_log_or_a_description(tmp_path: Path) -> None:
    catalogue, _ = opened(tmp_path, "http://127.0.0.1:9/v1")
    described = f"{catalogue.describe('mine/m')}{catalogue.settings('mine/m')!r}"
    assert "key.py" not in described and "api_key_command" not in described


def test_a_scenario_cannot_name_a_command(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: s\nplayers: {model: mine/m}\nproviders:\n  mine: {base_url: 'http://127.0.0.1:9', api_key_command: id}\n"
    )
    with pytest.raises(ScenarioError, match=r"s\.yaml:4:\d+.*a scenario cannot name a command to be run.*your own"):
        load_scenario(path)
    path.write_text("name: s\nplayers: {model: openai/m}\n")
    with pytest.raises(ScenarioError, match="a scenario cannot name a command"):
        load_scenario(path, sets=["providers.openai.api_key_command=[id]"])
    assert "api_key_command" not in ProviderSettings.model_fields  # of which the schema for editors is made


@pytest.mark.parametrize(
    ("own", "stated", "sentence"),
    [
        (
            "{openai: {api_key_command: key}}",
            {"openai": {"base_url": "https://evil.example/v1"}},
            "another server than",
        ),
        ("{openai: {api_key_command: ''}}", {}, "must be a command"),
        ("{openai: {api_key_command: [1]}}", {}, "must be a command"),
        ('{openai: {api_key_command: "a \'b"}}', {}, "cannot be split into words"),
        ("{openai: {api_key_command: key, api_key_env: KEY}}", {}, "not both"),
        ("{local: {api_key_command: key}}", {}, "a local account has no api_key_command"),
    ],
)
def test_a_wrong_command_is_said_before_any_call(
    tmp_path: Path, own: str, stated: dict[str, dict[str, str]], sentence: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"providers: {own}\n")
    with pytest.raises(ScenarioError, match=sentence):
        with_own(stated, environ={"AGENTSIM_CONFIG": str(path)})


def test_a_scenario_that_names_a_variable_has_its_key_from_there(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("providers: {openai: {api_key_command: key -x, concurrency: 3}}\n")
    environ = {"AGENTSIM_CONFIG": str(path)}
    assert with_own({}, environ=environ)["openai"]["api_key_command"] == "key -x"
    stated = with_own({"openai": {"api_key_env": "MY_KEY"}}, environ=environ)["openai"]
    assert stated == {"concurrency": 3, "api_key_env": "MY_KEY"}


def test_the_refusal_of_a_key_is_an_error_of_its_own_kind() -> None:
    assert issubclass(KeyRefused, AuthError)


def test_a_long_token_is_hidden_whole_and_its_pattern_is_made_at_once() -> None:
    token = ("ab/+-_.9" * 500)[:4000]
    assert Secret(token).hide(f"before {token.replace('/', '%2F')} behind") == "before *** behind"
    assert len(Secret(token)._pattern.pattern) < 80_000


SHELLS: Final[tuple[Callable[[ast.Call], bool], ...]] = (
    lambda call: any(one.arg == "shell" for one in call.keywords),
    lambda call: (
        ast.unparse(call.func) in ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput")
    ),
    lambda call: ast.unparse(call.func).endswith("create_subprocess_shell"),
)


def test_no_command_is_ever_run_by_a_shell() -> None:
    found = [
        f"{path.name}:{node.lineno}"
        for path in Path(agentsim.__file__).parent.rglob("*.py")
        if re.search("shell=|system|popen|getoutput|getstatus|subprocess_shell", text := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and any(is_shell(node) for is_shell in SHELLS)
    ]
    assert found == []
