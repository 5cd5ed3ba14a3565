"""The private directory for generated code and compiled machine code.

Root may run the code in it, so it belongs to the user alone: below $XDG_CACHE_HOME, mode 0700, owner checked, never a
shared temporary folder. One subdirectory holds the code that one version of the framework compiled. Its name is a hash
of the framework's own sources: numba looks only at the file that a function stands in, and would reuse machine code of
an edited callee.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from zcframe.framework.errors import CacheError

KEPT_VERSIONS = 4
# Other versions are dropped once nobody has used them for a day: a process that still runs would make its directory
# anew, open to others.
UNUSED_S = 24 * 3600.0


def _xdg_home() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base) if os.path.isabs(base) else Path.home() / ".cache"


def _check_private(path: Path) -> None:
    """Refuse a directory that another user could have filled. Raises CacheError."""
    info = os.lstat(path)
    mend = "remove it, or point XDG_CACHE_HOME at a directory of your own"
    if not stat.S_ISDIR(info.st_mode):
        raise CacheError(f"cache directory {path} is not a directory: {mend}")
    if info.st_uid != os.geteuid():
        raise CacheError(f"cache directory {path} belongs to uid {info.st_uid}, not to you: {mend}")
    if stat.S_IMODE(info.st_mode) & 0o077:
        raise CacheError(f"cache directory {path} is open to others: run chmod 700 {path}")


def private_directory(path: Path) -> Path:
    """Make `path` with mode 0700 (parents as usual) and check that it is the caller's alone. Raises CacheError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        _check_private(path)
    except OSError as error:
        raise CacheError(
            f"cannot use the cache directory {path}: {error.strerror}; set XDG_CACHE_HOME to a writable directory"
        ) from error
    return path


@functools.cache
def framework_hash() -> str:
    """Hash of every Python source of the framework, the interpreter and numba's version: 16 hex digits."""
    from importlib.metadata import version

    digest = hashlib.sha256(f"{sys.version_info[:3]} {version('numba')} {version('llvmlite')}".encode())
    for file in sorted(Path(__file__).resolve().parents[1].rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def mark_used(path: Path) -> None:
    """Note the time of use as the access time: numba compares the time of the last change with its own notes."""
    with contextlib.suppress(OSError):
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def _last_use(path: Path) -> float:
    """In seconds since 1970; 0 where another process has removed it."""
    try:
        return path.stat().st_atime
    except FileNotFoundError:
        return 0.0


def least_used(paths: Iterable[Path], kept: int) -> list[Path]:
    """All but the `kept` ones that were used last."""
    uses = {path: _last_use(path) for path in paths}
    return sorted(uses, key=lambda path: uses[path], reverse=True)[kept:]


def _drop_old_versions(root: Path) -> None:
    for old in least_used((path for path in root.iterdir() if path.is_dir()), KEPT_VERSIONS):
        if time.time() - _last_use(old) > UNUSED_S:
            shutil.rmtree(old, ignore_errors=True)


@functools.cache
def cache_directory() -> Path:
    """Directory for this version of the framework: $XDG_CACHE_HOME/zcframe/<hash>. Raises CacheError."""
    root = private_directory(_xdg_home() / "zcframe")
    current = root / framework_hash()
    if not current.exists():
        _drop_old_versions(root)
    mark_used(private_directory(current))
    return current
