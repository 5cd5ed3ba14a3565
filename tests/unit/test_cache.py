"""The cache of compiled code: what others use stays, what nobody uses goes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from zcframe.framework.jit import cache

DAY = 24 * 3600


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache.cache_directory.cache_clear()
    yield tmp_path / "zcframe"
    cache.cache_directory.cache_clear()


def used(path: Path, seconds_ago: float) -> Path:
    """A directory of another version, used so long ago and changed long before that."""
    path.mkdir(parents=True)
    os.utime(path, (time.time() - seconds_ago, time.time() - 9 * DAY))
    return path


def test_a_version_in_use_is_never_dropped(root: Path) -> None:
    others = [used(root / f"version{number}", number) for number in range(9)]
    root.chmod(0o700)
    own = cache.cache_directory()
    assert own is not None and own.parent == root
    assert all(path.exists() for path in others)


def test_the_versions_used_last_are_kept(root: Path) -> None:
    others = [used(root / f"version{number}", (2 + number) * DAY) for number in range(9)]
    root.chmod(0o700)
    cache.cache_directory()
    assert [path for path in others if path.exists()] == others[: cache.KEPT_VERSIONS]


def test_each_use_is_noted(root: Path) -> None:
    own = cache.cache_directory()
    assert own is not None
    os.utime(own, (0, 0))
    cache.cache_directory.cache_clear()
    assert cache.cache_directory() == own
    assert own.stat().st_atime > time.time() - DAY
    # numba takes code whose file has changed for old.
    assert own.stat().st_mtime == 0


def test_what_another_process_has_removed_counts_as_not_used(tmp_path: Path) -> None:
    paths = [tmp_path / "gone", tmp_path / "here"]
    paths[1].mkdir()
    assert cache.least_used(paths, 1) == paths[:1]
    cache.mark_used(paths[0])


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o705])
def test_a_folder_that_others_could_only_read_is_shut_and_used(root: Path, mode: int) -> None:
    """numba makes a folder that was removed under a running process anew, with the usual mode."""
    own = cache.cache_directory()
    assert own is not None
    (own / "kept").touch()
    for path in (root, own):
        path.chmod(mode)
    cache.cache_directory.cache_clear()
    assert cache.cache_directory() == own
    assert [path.stat().st_mode & 0o777 for path in (root, own)] == [0o700] * 2
    assert (own / "kept").exists()


@pytest.mark.parametrize("mode", [0o775, 0o777, 0o722])
def test_code_that_others_could_have_put_there_is_removed(root: Path, mode: int) -> None:
    own = cache.cache_directory()
    assert own is not None
    (own / "code").mkdir()
    (own / "code" / "theirs").touch()
    (own / "theirs").symlink_to("/etc")
    own.chmod(mode)
    cache.cache_directory.cache_clear()
    assert cache.cache_directory() == own
    assert (list(own.iterdir()), own.stat().st_mode & 0o777) == ([], 0o700)
    assert Path("/etc").is_dir()


ASK = """
from zcframe.framework.jit.cache import cache_directory, complaint
print(cache_directory() is None)
print(complaint())
"""
STRANGER = ["setpriv", "--reuid=4711", "--clear-groups"]


def ask(launcher: Sequence[str], **variables: str) -> str:
    """Why a process with these variables, and no others, has no cache; "" where it has one."""
    done = subprocess.run(
        [*launcher, sys.executable, "-c", ASK], env=variables, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    none, _, said = done.stdout.partition("\n")
    assert none == str(bool(said.strip()))
    return said.strip().removeprefix("compiled code is not kept, so that each start takes seconds longer: ")


@pytest.mark.needs("root")
def test_without_a_place_there_is_no_cache_and_one_reason(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    theirs = tmp_path / "zcframe"
    theirs.mkdir(0o700)
    os.chown(theirs, 4711, 4711)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "zcframe").symlink_to(tmp_path)
    gone = "the home directory /nonexistent does not exist; set XDG_CACHE_HOME"
    unknown = "HOME is not set, and user id 4711 has no entry in the password file; set XDG_CACHE_HOME"
    foreign = f"{theirs} belongs to user id 4711: remove it, or set XDG_CACHE_HOME"
    assert ask([], HOME="/nonexistent") == gone
    assert not Path("/nonexistent").exists()
    assert ask(STRANGER) == ask(STRANGER, HOME="") == ask(STRANGER, HOME="here", XDG_CACHE_HOME="here") == unknown
    assert ask([], XDG_CACHE_HOME=str(tmp_path)) == foreign
    assert ask([], XDG_CACHE_HOME=str(tmp_path / "link")).endswith("link/zcframe: Not a directory")
    assert ask(STRANGER, XDG_CACHE_HOME=f"{tmp_path}/new").endswith(f"{tmp_path}/new/zcframe: Permission denied")
    assert ask([], XDG_CACHE_HOME="/proc/self").startswith("/proc/self/zcframe: ")
    # The specification ignores relative folders.
    assert ask([], XDG_CACHE_HOME="here", HOME=str(tmp_path)) == ""


ON_A_DISK = 'mount -t tmpfs -o {options} none "$1" && shift && exec "$@"'


@pytest.mark.needs("root", "namespaces")
@pytest.mark.parametrize(
    ("options", "said"), [("ro", "Read-only file system"), ("size=16k", "No space left on device")]
)
def test_a_disk_that_takes_nothing(tmp_path: Path, options: str, said: str) -> None:
    launcher = ["unshare", "--mount", "sh", "-c", ON_A_DISK.format(options=options), "sh", str(tmp_path)]
    assert said in ask(launcher, XDG_CACHE_HOME=str(tmp_path))


class Disk:
    """numba's cache of a function of its own, in a folder of its own; `load()` and `save()` as the compiler does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from numba import njit
        from numba.core import types

        from zcframe.framework.jit.stored import StoredCode

        monkeypatch.setattr("numba.core.config.CACHE_DIR", str(folder))
        self._dispatcher: Any = njit(_twice)
        self._stored: Any = StoredCode(_twice)
        self._signature = (types.int64,)
        self._dispatcher.compile(self._signature)
        (self._code,) = self._dispatcher.overloads.values()

    def save(self) -> None:
        self._stored.save_overload(self._code.signature, self._code)

    def load(self) -> Any:
        return self._stored.load_overload(self._code.signature, self._dispatcher.targetctx)


def _twice(number):  # type: ignore[no-untyped-def]
    return number + number


def test_code_that_a_full_disk_cut_short_is_compiled_and_kept_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    disk.save()
    assert disk.load() is not None
    for ending in ("nbi", "nbc"):
        (file,) = tmp_path.rglob(f"*.{ending}")
        file.write_bytes(b"")
        assert disk.load() is None
        disk.save()
        assert disk.load() is not None
    assert cache.complaint() == ""


def test_code_that_cannot_be_kept_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    disk = Disk(tmp_path, monkeypatch)
    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_data", full)
    monkeypatch.setattr(cache._Complaint, "text", "")
    disk.save()
    disk.save()
    assert disk.load() is None
    assert cache.complaint().endswith(": No space left on device")
