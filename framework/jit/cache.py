"""The private directory for generated code and compiled machine code.

Root may run the code in it, so it belongs to the user alone: below $XDG_CACHE_HOME, mode 0700, owner checked, never a
shared temporary folder. Where there is no such directory, code is compiled at each start and not kept.

One subdirectory holds the code that one version of the framework compiled. Its name is a hash of the framework's own
sources: numba looks only at the file that a function stands in, and would reuse machine code of an edited callee.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from zcframe.framework.errors import CacheError

KEPT_VERSIONS = 4
# Other versions are dropped once nobody has used them for a day: a process that still runs would make its directory
# anew, open to others.
UNUSED_S = 24 * 3600.0
# Bytes to try a disk with: more than a file system keeps beside the entry of a file.
TRIAL_SIZE = 1 << 16


class _Complaint:
    """Why code is not kept on disk in this process, in the words of the first refusal; "" while it is kept."""

    text = ""


def give_up(reason: object) -> None:
    """Note that code is not kept on disk: whatever needs it compiles it, and the command tells the first reason."""
    _Complaint.text = _Complaint.text or str(reason)


def complaint() -> str:
    """A warning for the operator; "" where there is nothing to tell."""
    if not _Complaint.text:
        return ""
    return f"compiled code is not kept, so that each start takes seconds longer: {_Complaint.text}"


def _home() -> Path:
    """The user's home directory. Raises CacheError where there is none."""
    named = os.environ.get("HOME", "")
    if not os.path.isabs(named):
        try:
            named = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            raise CacheError(
                f"HOME is not set, and user id {os.geteuid()} has no entry in the password file; set XDG_CACHE_HOME"
            ) from None
    if not os.path.isdir(named):
        # Not for us to make: it may have to be mounted, or be somebody else's to make.
        raise CacheError(f"the home directory {named} does not exist; set XDG_CACHE_HOME")
    return Path(named)


def _xdg_home() -> Path:
    """$XDG_CACHE_HOME, of which the specification ignores relative ones, or what stands for it. Raises CacheError."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base) if os.path.isabs(base) else _home() / ".cache"


def _empty(directory: int) -> None:
    """Remove all that lies in an open directory."""
    for name in os.listdir(directory):
        if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=directory)
        else:
            os.unlink(name, dir_fd=directory)


def _shut(directory: int, path: Path) -> None:
    """Make an open directory the caller's alone; code that others may have put there goes. Raises CacheError."""
    info = os.fstat(directory)
    if info.st_uid != os.geteuid():
        raise CacheError(f"{path} belongs to user id {info.st_uid}: remove it, or set XDG_CACHE_HOME")
    if stat.S_IMODE(info.st_mode) & 0o077:
        os.fchmod(directory, 0o700)
    if stat.S_IMODE(info.st_mode) & 0o022:
        _empty(directory)


def private_directory(path: Path) -> Path:
    """Make `path` with mode 0700 (parents as usual), or shut it to others. Raises CacheError where it is not ours.

    numba makes anew, with the usual mode, a directory that was removed while a process ran.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _shut(directory, path)
        finally:
            os.close(directory)
    except OSError as error:
        raise CacheError(f"{path}: {error.strerror}") from error
    return path


def _release(package: str) -> bytes:
    """What tells one release of a package from another, without importing it, or what it takes to look for versions."""
    spec = importlib.util.find_spec(package)
    for place in (spec and spec.submodule_search_locations) or ():
        with contextlib.suppress(OSError):
            return Path(place, "_version.py").read_bytes()
    return importlib.import_module("importlib.metadata").version(package).encode()  # type: ignore[no-any-return]


@functools.cache
def framework_hash() -> str:
    """Hash of every Python source of the framework, the interpreter, its -O, and numba's version: 16 hex digits."""
    digest = hashlib.sha256(f"{sys.version_info[:3]} {sys.flags.optimize}".encode())
    for package in ("numba", "llvmlite"):
        digest.update(_release(package))
    for file in sorted(Path(__file__).resolve().parents[1].rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def mark_used(path: Path) -> None:
    """Note the time of use as the access time: numba compares the time of the last change with its own notes."""
    with contextlib.suppress(OSError):
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in one step: another process may be writing the same one. Raises OSError."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.replace(file.name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            raise


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


def _try_to_write(directory: Path) -> None:
    """Raises CacheError where the directory takes no file: read-only, or its disk is full."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            # Unbuffered, it would write what there is room for, and be content.
            file.write(bytes(TRIAL_SIZE))
            file.flush()
    except OSError as error:
        raise CacheError(f"{directory}: {error.strerror}") from error


@functools.cache
def cache_directory() -> Path | None:
    """Directory for this version of the framework: $XDG_CACHE_HOME/zcframe/<hash>; None where none can be used.

    The code then lives in memory only, and `complaint()` tells why.
    """
    try:
        root = private_directory(_xdg_home() / "zcframe")
        current = root / framework_hash()
        if not current.exists():
            _drop_old_versions(root)
        mark_used(private_directory(current))
        _try_to_write(current)
    except (CacheError, OSError) as error:
        give_up(error)
        return None
    return current
