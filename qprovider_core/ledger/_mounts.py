"""On what file system a file lies: SQLite's write-ahead log needs memory that processes share, which none has over a
network."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

_NETWORK = frozenset(
    {
        "9p", "acfs", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "cvmfs", "davfs", "fuse.ceph", "fuse.cephfs",
        "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs", "fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs",
        "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs3", "nfs4", "orangefs", "panfs", "pvfs2", "smb", "smb2",
        "smb3", "smbfs", "wekafs", "webdav",
    }
)  # fmt: skip
_MOUNTS = Path("/proc/self/mountinfo")


def is_network(path: Path) -> bool:
    """Whether the file lies, or would lie, on a network file system; False where that cannot be told."""
    return file_system(path) in _NETWORK


def file_system(path: Path) -> str | None:
    """The name of the file system, such as ``nfs4``; None where the system does not tell."""
    try:
        table = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    return _mounted(os.path.realpath(path), table)


@lru_cache(maxsize=16)
def _mounted(path: str, table: str) -> str | None:
    best, found = "", None
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        place = fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
        within = path == place or path.startswith(place.rstrip("/") + "/")
        if within and len(place) >= len(best):
            best, found = place, after.split(" ")[0]
    return found
