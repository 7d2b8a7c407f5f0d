"""Whether locks hold in a folder, by the file system that it is on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from agentsim.errors import LogError

__all__ = ["Mount", "check_locks", "mount_of"]

LOCAL: Final = frozenset(
    {"bcachefs", "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "overlay", "ramfs", "reiserfs"}
    | {"rootfs", "tmpfs", "vfat", "exfat", "xfs", "zfs", "aufs", "fuse-overlayfs", "fuse.fuse-overlayfs", "fuseblk"}
)
"""File systems of one machine, where the kernel itself keeps the locks."""
SHARED: Final = frozenset({"nfs", "nfs4", "lustre", "gpfs", "ceph", "fuse.glusterfs", "ocfs2", "gfs2"})
"""File systems of several machines on which a lock taken on one holds on all, unless an option below says otherwise."""
ONLY_HERE: Final = frozenset({"nolock", "local_lock=all", "local_lock=flock", "localflock", "noflock"})
"""Options of a mount with which locks hold on one machine only, or not at all."""
TRY: Final = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
"""What a second process does; it fails if the lock holds."""


class Mount(NamedTuple):
    """The file system that a folder is on."""

    kind: str
    """Such as `ext4` or `nfs4`; empty if unknown."""
    options: frozenset[str]

    @property
    def is_of_one_machine(self) -> bool:
        """Whether only this machine uses it."""
        return self.kind in LOCAL

    @property
    def why_not(self) -> str | None:
        """Why locks of several processes cannot be relied on here; `None` if they can."""
        if self.kind in LOCAL:
            return None
        if self.kind not in SHARED:
            return f"agentsim does not know whether locks hold on the file system {self.kind or 'there'!r}"
        if bad := sorted(self.options & ONLY_HERE):
            return f"the file system is {self.kind}, mounted with {bad[0]!r}, with which locks do not hold everywhere"
        return None


def mount_of(folder: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> Mount:
    """Return the file system that a folder is on, from the kernel's list of mounts."""
    best, found = -1, Mount("", frozenset())
    where = folder.resolve()
    for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        first, _, last = line.partition(" - ")
        point = Path(first.split()[4].encode().decode("unicode_escape"))
        if where.is_relative_to(point) and len(point.parts) >= best:
            kind, _, more = last.split(maxsplit=2)
            best = len(point.parts)
            found = Mount(kind, frozenset(f"{first.split()[5]},{more}".split(",")))
    return found


def check_locks(path: Path) -> None:
    """Check that a lock which this process holds on a file keeps other processes out.

    On a file system of one machine the kernel vouches for it; elsewhere a second process tries.

    Raises:
        LogError: it does not.
    """
    mount = mount_of(path.parent)
    why_not = mount.why_not
    if why_not is None and not mount.is_of_one_machine:
        tried = subprocess.run([sys.executable, "-ISc", TRY, str(path)], capture_output=True, check=False)
        if tried.returncode == 0:
            why_not = f"on this {mount.kind} a second process could take a lock that was held"
    if why_not is not None:
        raise LogError(
            f"{path.parent}: several processes cannot play one study here: {why_not}; use a folder on a local disk, on"
            " NFS or on Lustre with flock, or play in one process, without --claim"
        )
