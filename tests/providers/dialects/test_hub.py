"""Models from a hub, fetched through huggingface-hub from one on loopback that serves the paths it asks for."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agentsim.errors import ModelFileError
from agentsim.providers.dialects import weights
from agentsim.providers.dialects.hub import HubFile, pull_from_hub
from agentsim.scenario.names import by_stem

pytest.importorskip("huggingface_hub")  # of the extra `hf`

MODEL = b"GGUF" + bytes(range(256)) * 100_000
NAME = "hf:some-org/Tiny-GGUF:q4/tiny-q4_k_m.gguf"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves one file as a hub does: HEAD tells commit, size and digest, GET takes ranges."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.body = MODEL
        self.digest = hashlib.sha256(MODEL).hexdigest()
        self.breaks_at: int | None = None
        """The connection is lost after this many bytes, once."""
        self.asked: list[tuple[str, str, str | None]] = []


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._serve(has_body=False)

    def do_GET(self) -> None:
        self._serve(has_body=True)

    def _serve(self, *, has_body: bool) -> None:
        hub, asked = self.server, self.headers.get("range")
        hub.asked.append((self.command, self.path, asked))
        if self.path.split("/resolve/")[0] != "/some-org/Tiny-GGUF" or not self.path.endswith("/q4/tiny-q4_k_m.gguf"):
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        data = hub.body[first:]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{len(hub.body) - 1}/{len(hub.body)}")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Etag", f'"{hub.digest}"')
        self.send_header("ETag", f'"{hub.digest}"')
        self.send_header("X-Linked-Size", str(len(hub.body)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not has_body:
            return
        if hub.breaks_at is not None:
            data, hub.breaks_at = data[: hub.breaks_at], None
            self.close_connection = True
        self.wfile.write(data)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    served = Hub()
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", served.url)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


def test_a_model_is_fetched_verified_and_then_found_by_its_name_without_asking_the_hub(
    hub: Hub, tmp_path: Path
) -> None:
    path = weights.pull(NAME, cache=tmp_path)
    assert path.read_bytes() == MODEL and not (path.parents[1] / ".part").exists()
    assert {path for _, path, _ in hub.asked if "/resolve/" in path} == {
        f"/some-org/Tiny-GGUF/resolve/{revision}/q4/tiny-q4_k_m.gguf" for revision in ("main", COMMIT)
    }
    hub.asked.clear()
    assert weights.find(NAME, cache=tmp_path) == path and not hub.asked
    assert weights.pull(NAME, cache=tmp_path) == path and not any(
        method == "GET" and "/resolve/" in asked for method, asked, _ in hub.asked
    )
    assert by_stem(f"local/{NAME}") == "local/tiny-q4_k_m"


def test_after_a_break_only_the_rest_is_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.breaks_at = 21_000_000  # the client keeps what it has in pieces of 10 MB
    try:
        path = weights.pull(NAME, cache=tmp_path)
    except ModelFileError as error:
        assert "goes on where it stopped" in str(error)
        path = weights.pull(NAME, cache=tmp_path)
    assert path.read_bytes() == MODEL
    ranges = [asked for method, _, asked in hub.asked if method == "GET" and asked]
    assert ranges and int(ranges[-1].removeprefix("bytes=").rstrip("-").split("-")[0]) > 0


def test_a_file_that_is_not_the_stated_one_is_not_used(hub: Hub, tmp_path: Path) -> None:
    hub.digest = "0" * 64
    with pytest.raises(ModelFileError, match=r"is not the file that it states \(SHA-256 0000"):
        weights.pull(NAME, cache=tmp_path)
    with pytest.raises(ModelFileError, match="is not on this machine: run `agentsim models pull hf:some-org"):
        weights.find(NAME, cache=tmp_path)


def test_a_digest_of_git_is_checked_too(hub: Hub, tmp_path: Path) -> None:
    hub.digest = hashlib.sha1(f"blob {len(MODEL)}\0".encode() + MODEL, usedforsecurity=False).hexdigest()
    assert weights.pull(NAME, cache=tmp_path).read_bytes() == MODEL


def test_what_is_not_there_and_a_hub_that_does_not_answer_are_one_sentence(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelFileError, match="has no such file, or it needs a token"):
        pull_from_hub("hf:some-org/Tiny-GGUF:other.gguf", cache=tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        ModelFileError, match=r"cannot be fetched from http://127\.0\.0\.1:9 .*check the network"
    ) as caught:
        pull_from_hub(NAME, cache=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["hf:tiny", "hf:o/r:x.bin", "hf:o/r:../x.gguf", "hf:../r:x.gguf", "hf:o/r:/x.gguf", "hf:o/r@../a:x.gguf"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ModelFileError, match="names no file on a hub"):
        HubFile.named(name)
