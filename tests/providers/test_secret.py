"""A key that a server repeats, in any usual spelling, is in no text that is stored or said."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agentsim
from agentsim.providers.secret import Secret
from agentsim.testing.faultserver import Answer, Behaviour, FaultServer, Raw, Request, Status

KEY = 'sk-sentinel/"4f9a1c7e\\2b8d6053-never&written'


def escaped(key: str) -> str:
    return "".join(f"\\u{ord(character):04X}" for character in key)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda key: json.dumps(key)[1:-1],
    "JSON in JSON": lambda key: json.dumps(json.dumps(key))[1:-1],
    "JSON with escaped slashes": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "Unicode escapes": escaped,
    "Unicode escapes in JSON": lambda key: json.dumps(escaped(key))[1:-1],
    "one escape": lambda key: key[:3] + f"\\u{ord(key[3]):04x}" + key[4:],
    "hexadecimal escapes": lambda key: "".join(f"\\x{ord(character):02x}" for character in key),
    "percent": lambda key: urllib.parse.quote(key, safe=""),
    "percent twice": lambda key: urllib.parse.quote(urllib.parse.quote(key, safe=""), safe=""),
    "HTML": html.escape,
    "HTML numbers": lambda key: "".join(f"&#{ord(character)};" for character in key),
    "repr": repr,
    "hexadecimal": lambda key: key.encode().hex(),
}


@settings(max_examples=20)
@given(key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60))
@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_key_is_hidden_however_it_is_spelled(spell: Callable[[str], str], key: str) -> None:
    hidden = Secret(key).hide(f"before {spell(key)} behind")
    assert spell(key) not in hidden and "***" in hidden
    assert hidden.startswith("before ") and hidden.endswith(" behind")


@settings(max_examples=30)
@given(key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60), before=st.binary())
def test_a_key_within_base64_is_hidden(key: str, before: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert "***" in Secret(key).hide(encode(before + key.encode() + b" behind").decode())


@pytest.mark.parametrize("key", [None, "0", "none", "ollama"])
def test_a_placeholder_that_a_model_may_write_changes_no_reply(key: str | None) -> None:
    assert Secret(key).hide("none of my 10 units, says ollama") == "none of my 10 units, says ollama"


@pytest.mark.parametrize("text", ["\\" * 20_000, "%25" * 10_000, "&#0" * 10_000, "\\u005c" * 5_000])
def test_no_text_makes_the_search_hang(text: str) -> None:
    assert Secret("\\" * 30 + KEY).hide(text) == text
    assert Secret(KEY).hide(text) == text


def test_a_secret_does_not_show_itself() -> None:
    assert KEY not in repr(Secret(KEY)) + str(Secret(KEY))


def echo(request: Request) -> Behaviour:
    """Repeat the key in every field of an answer, and in the refusal that one question meets at first."""
    key = request.headers["authorization"].removeprefix("Bearer ")
    if "1_2" in request.prompt and len(request.body["messages"]) == 2:
        return Status(400, f"no: {escaped(key)} {key}", kind=key, code="content_filter", headers={"x-request-id": key})
    forms = f"{key} {json.dumps(key)} {escaped(key)} {urllib.parse.quote(key, safe='')}"
    text = f"{forms}\nMy strategy will be {key}.\nAnswer: 3"
    answer = Answer(text, model=f"model-{key}", id=key, thoughts=key, headers={"x-request-id": f"req-{key}"})
    body = json.loads(answer.render(request))
    if "2_1" in request.prompt:
        body["choices"][0]["finish_reason"] = f"odd {key}"
    raw = json.dumps(body).replace("/", "\\/").replace("s", "\\u0073")
    return Raw(raw.encode(), headers={"x-request-id": f"req-{key}", "x-key": key})


def read(folder: Path) -> dict[Path, str]:
    return {path: path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file()}


async def test_a_server_that_repeats_the_key_everywhere_brings_it_into_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_KEY", KEY)
    async with FaultServer(echo) as server:
        scenario = agentsim.scenario_from(
            {
                "name": "echo",
                "agents": 4,
                "generations": 2,
                "game": {"kind": "donor", "rounds": 2},
                "players": {"model": "mine/model"},
                "seeds": [0],
                "providers": {"mine": {"base_url": server.openai_url, "api_key_env": "SENTINEL_KEY"}},
            }
        )
        result = await agentsim.run_async(scenario, results=tmp_path)
    assert [state.status for state in result.runs] == ["complete"]
    files = read(tmp_path)
    log = files[tmp_path / "echo" / result.runs[0].run / "log.jsonl"]
    assert "***" in log and '"filtered"' in log and '"thoughts"' in log
    for path, text in files.items():
        assert not [name for name, spell in SPELLINGS.items() if spell(KEY) in text], path
        assert "sentinel" not in text.lower().replace("sentinel_key", ""), path
