"""The real server of the small model, in a child process, asked by the official clients in both dialects."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentsim.errors import AuthError, BadRequest, ModelFileError, Unavailable
from agentsim.providers.base import Message, Prompt, Sampling
from agentsim.providers.dialects import local
from agentsim.providers.dialects.anthropic import AnthropicProvider
from agentsim.providers.dialects.local import LocalProvider
from agentsim.providers.dialects.openai import OpenAIProvider

pytestmark = pytest.mark.model

PROMPT = Prompt(
    model="smollm2-135m",
    messages=(Message(role="system", content="Be brief."), Message(role="user", content="Name one fruit.")),
    sampling=Sampling(temperature=0.8, max_tokens=8, seed=5),
)
on_one_loop = pytest.mark.asyncio(loop_scope="session")


def with_sampling(**sampling: object) -> Prompt:
    return PROMPT.model_copy(update={"sampling": PROMPT.sampling.model_copy(update=sampling)})


@on_one_loop
async def test_a_local_model_answers(llama_server: LocalProvider) -> None:
    completion = await llama_server.complete(PROMPT)
    assert completion.text
    assert completion.model == "smollm2-135m"
    assert completion.finish_reason in ("stop", "length")
    assert completion.usage.input_tokens and completion.usage.output_tokens
    assert completion.usage.output_tokens <= 8


@on_one_loop
async def test_the_sampling_seed_decides_the_text(llama_server: LocalProvider) -> None:
    first, again, other = [
        (await llama_server.complete(with_sampling(seed=seed, max_tokens=24))).text for seed in (5, 5, 6)
    ]
    assert first == again != other


@on_one_loop
async def test_a_grammar_binds_the_answer(llama_server: LocalProvider) -> None:
    completion = await llama_server.complete(with_sampling(extra={"grammar": 'root ::= "kept " [0-9]'}))
    assert completion.text.startswith("kept ") and completion.text[5:].isdigit()
    assert completion.finish_reason == "stop"


@on_one_loop
async def test_openai_client_works_with_the_real_server(llama_server: LocalProvider) -> None:
    adapter = OpenAIProvider(
        api_key=llama_server.api_key, base_url=f"{await llama_server.start()}/v1", timeout_s=600, name="peer"
    )
    completion = await adapter.complete(with_sampling(max_tokens=3))
    assert (completion.finish_reason, completion.usage.output_tokens) == ("length", 3)
    assert completion.request_id
    await adapter.aclose()


@on_one_loop
async def test_anthropic_client_works_with_the_real_server(llama_server: LocalProvider) -> None:
    adapter = AnthropicProvider(
        api_key=llama_server.api_key, base_url=await llama_server.start(), timeout_s=600, name="peer"
    )
    completion = await adapter.complete(with_sampling(max_tokens=3, seed=None))
    assert completion.text
    assert (completion.finish_reason, completion.usage.output_tokens) == ("length", 3)
    assert completion.usage.input_tokens and completion.usage.input_tokens > 10
    await adapter.aclose()


@on_one_loop
async def test_a_wrong_key_is_refused_by_the_real_server(llama_server: LocalProvider) -> None:
    url = await llama_server.start()
    for adapter in (
        OpenAIProvider(api_key="wrong", base_url=f"{url}/v1", timeout_s=600),
        AnthropicProvider(api_key="wrong", base_url=url, timeout_s=600),
    ):
        with pytest.raises(AuthError, match="HTTP 401"):
            await adapter.complete(with_sampling(seed=None))
        await adapter.aclose()


@on_one_loop
async def test_a_prompt_longer_than_the_context_is_refused(llama_server: LocalProvider) -> None:
    long = PROMPT.model_copy(update={"messages": (Message(role="user", content="fruit " * 3000),)})
    with pytest.raises(BadRequest, match="context"):
        await llama_server.complete(long)


async def test_a_server_that_dies_is_transient_and_started_again(small_model: Path) -> None:
    provider = LocalProvider(small_model, model_name="smollm2-135m", slots=1, context=512, own_server=True)
    try:
        first = await provider.complete(with_sampling(seed=5))
        server = provider._server
        assert server is not None
        call = asyncio.create_task(provider.complete(with_sampling(max_tokens=400, extra={"ignore_eos": True})))
        await asyncio.sleep(0)  # the call is on its way
        os.kill(server.serving.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match=r"ended with code -9; its log ends '"):
            await call
        again = await provider.complete(with_sampling(seed=5))
        assert again.text == first.text
    finally:
        await provider.aclose()
    assert provider._server is None


async def test_a_file_llama_cannot_load_is_named_with_the_servers_log(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 100)
    provider = LocalProvider(path, model_name="broken")
    with pytest.raises(ModelFileError, match=r"broken\.gguf.*its log ends ['\"].*"):
        await provider.complete(PROMPT)
    await provider.aclose()


def test_without_llama_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentsim.providers.dialects.local.importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelFileError, match=r"pip install 'agentsim-lab\[local\]'"):
        local.check_model("smollm2-135m")


USER = """
import asyncio, os, sys
from pathlib import Path
from agentsim.providers.base import Message, Prompt, Sampling
from agentsim.providers.dialects import local, weights

async def main():
    path = weights.pull("smollm2-135m")
    provider = local.LocalProvider(path, model_name="shared", slots=2, context=512)
    prompt = Prompt(model="shared", messages=(Message(role="user", content="Hi"),), sampling=Sampling(max_tokens=3))
    await provider.complete(prompt)
    print(provider._server.serving.pid, flush=True)
    sys.stdin.readline()
    answer = await provider.complete(prompt)
    print(answer.usage.output_tokens, provider._server.serving.pid, flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""


def test_processes_share_one_server_and_one_fetch_and_it_outlives_who_started_it(
    small_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "site").mkdir()
    n_fetched = tmp_path / "n-fetched"
    # The fetch itself is replaced: it would download the same file twice in vain.
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import shutil\n"
        "from agentsim.providers.dialects import weights\n"
        "def fetch(wanted, *, target, report):\n"
        f"    open({str(n_fetched)!r}, 'a').write('x')\n"
        f"    shutil.copyfile({str(small_model)!r}, target)\n"
        "weights._fetch = fetch\n"
    )
    environ = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "AGENTSIM_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(tmp_path / "site"),
    }
    users = [
        subprocess.Popen(
            [sys.executable, "-c", USER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        )
        for _ in range(2)
    ]
    try:
        assert all(user.stdin and user.stdout for user in users)
        pids = {int(user.stdout.readline()) for user in users}  # type: ignore[union-attr]
        assert len(pids) == 1 and n_fetched.read_text() == "x"
        [pid] = pids
        server = os.pidfd_open(pid)
        starter, other = users
        starter.kill()
        starter.wait()
        other.stdin.write("\n")  # type: ignore[union-attr]
        other.stdin.flush()  # type: ignore[union-attr]
        assert other.stdout.readline() == f"3 {pid}\n"  # type: ignore[union-attr]
        other.kill()
        other.wait()
        ended, _, _ = select.select([server], [], [], 200)  # a pidfd becomes readable when its process has ended
        os.close(server)
        assert ended
    finally:
        for user in users:
            user.kill()
            user.communicate()


def test_a_folder_of_somebody_elses_is_not_used(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"agentsim-{os.getuid()}").mkdir(mode=0o755)
    monkeypatch.setattr("agentsim.providers.dialects.shared_server.tempfile.gettempdir", lambda: str(tmp_path))
    provider = LocalProvider(small_model, model_name="m", slots=1, context=512)
    with pytest.raises(ModelFileError, match=r"is open to other users; name another folder in TMPDIR"):
        asyncio.run(provider.complete(PROMPT))
