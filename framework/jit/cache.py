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
from pathlib import Path

from zcframe.framework.errors import CacheError

KEPT_VERSIONS = 4


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


def _drop_old_versions(root: Path) -> None:
    versions = sorted((p for p in root.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in versions[KEPT_VERSIONS:]:
        shutil.rmtree(old, ignore_errors=True)


@functools.cache
def cache_directory() -> Path:
    """Directory for this version of the framework: $XDG_CACHE_HOME/zcframe/<hash>. Raises CacheError."""
    root = private_directory(_xdg_home() / "zcframe")
    current = root / framework_hash()
    if not current.exists():
        _drop_old_versions(root)
    return private_directory(current)
