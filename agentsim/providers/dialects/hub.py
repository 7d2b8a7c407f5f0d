"""Models from a Hugging Face hub: fetched through huggingface-hub, verified, and then named `hf:OWNER/REPO:FILE`.

<cache>/models/hf/OWNER/REPO/REVISION/FILE         a whole, verified file; it appears by one rename
<cache>/models/hf/OWNER/REPO/REVISION/.part/FILE   what has arrived so far; a later fetch goes on from there
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from agentsim.errors import ModelFileError, quote

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

__all__ = ["HubFile", "is_of_hub", "pull_from_hub"]

NAME: Final = re.compile(
    r"hf:(?P<owner>[\w-][\w.-]*)/(?P<repo>[\w-][\w.-]*)(?:@(?P<revision>\w[\w.-]*))?"
    r":(?P<file>(?:[\w-][\w.-]*/)*[\w-][\w.-]*\.gguf)",
    re.ASCII,
)
CHUNK_BYTES: Final = 1 << 22
QUOTE_CHARS: Final = 200


def is_of_hub(name: str) -> bool:
    """Whether a model's name is meant to be that of a file on a hub."""
    return name.startswith("hf:")


@dataclass(frozen=True)
class HubFile:
    """A file on a hub."""

    owner: str
    repo: str
    revision: str
    """A branch, a tag or a commit."""
    file: str

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the file that `hf:OWNER/REPO:FILE` names; the revision may follow REPO, as `@v1`.

        Raises:
            ModelFileError: the name is none.
        """
        match = NAME.fullmatch(name)
        if match is None:
            raise ModelFileError(
                f"{quote(name)} names no file on a hub; write hf:OWNER/REPO:FILE.gguf, or a revision as in"
                " hf:OWNER/REPO@main:FILE.gguf"
            )
        return cls(match["owner"], match["repo"], match["revision"] or "main", match["file"])

    def place(self, cache: Path) -> Path:
        """Return where the file is kept."""
        return self.folder(cache) / self.file

    def folder(self, cache: Path) -> Path:
        """Return the folder of the file's repository and revision."""
        return cache / "models" / "hf" / self.owner / self.repo / self.revision


def pull_from_hub(name: str, *, cache: Path) -> Path:
    """Return the verified file of a model on the hub that `HF_ENDPOINT` names; fetch what is missing of it.

    May be killed and run again at any time. Its digest must be the one that the hub states.

    Raises:
        ModelFileError: huggingface-hub is missing, the hub does not answer or has no such file, or the file is not the
            one that the hub states.
    """
    wanted = HubFile.named(name)
    try:
        import httpx2
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        raise ModelFileError("models from a hub need huggingface-hub: run `pip install 'agentsim-lab[hf]'`") from error
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    repo_id, folder, target = f"{wanted.owner}/{wanted.repo}", wanted.folder(cache), wanted.place(cache)
    try:
        url = huggingface_hub.hf_hub_url(repo_id, wanted.file, revision=wanted.revision, endpoint=endpoint)
        stated = huggingface_hub.get_hf_file_metadata(url, endpoint=endpoint)
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / ".lock"):
            if target.is_file() and _is_stated(target, stated):
                return target
            part = Path(
                huggingface_hub.hf_hub_download(
                    repo_id,
                    wanted.file,
                    revision=stated.commit_hash or wanted.revision,
                    local_dir=folder / ".part",
                    endpoint=endpoint,
                )
            )
            if not _is_stated(part, stated):
                shutil.rmtree(folder / ".part", ignore_errors=True)
                raise ModelFileError(
                    f"{name}: what {endpoint} sent is not the file that it states (SHA-256 {stated.etag}); it is not"
                    " used: fetch it again"
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
            shutil.rmtree(folder / ".part", ignore_errors=True)
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError) as error:
        raise ModelFileError(
            f"{name}: {endpoint} has no such file, or it needs a token (HF_TOKEN) of somebody who may read it"
            f" ({_first_line(error)})"
        ) from None
    except (httpx2.HTTPError, errors.EntryNotFoundError, errors.FileMetadataError, ConnectionError) as error:
        raise ModelFileError(
            f"{name}: cannot be fetched from {endpoint} ({_first_line(error)}); check the network, HF_ENDPOINT and"
            " HF_HUB_OFFLINE, and fetch it again: it goes on where it stopped"
        ) from None
    except OSError as error:
        raise ModelFileError(f"{name}: cannot be stored in {str(folder)!r}: {error.strerror or error}") from None
    return target


def _is_stated(path: Path, stated: HfFileMetadata) -> bool:
    """Return whether a file has the size and the digest that the hub states: SHA-256, or git's for small files."""
    etag, size = stated.etag or "", path.stat().st_size
    if stated.size is not None and size != stated.size:
        return False
    if re.fullmatch(r"[0-9a-f]{64}", etag):
        digest = hashlib.sha256()
    elif re.fullmatch(r"[0-9a-f]{40}", etag):
        digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    else:
        raise ModelFileError(
            "the hub states no digest of the file, so it cannot be verified; fetch it from another hub"
        )
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest() == etag


def _first_line(error: Exception) -> str:
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:QUOTE_CHARS]


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
