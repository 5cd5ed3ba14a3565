"""The cache of compiled code: what others use stays, what nobody uses goes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

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
    assert cache.cache_directory().parent == root
    assert all(path.exists() for path in others)


def test_the_versions_used_last_are_kept(root: Path) -> None:
    others = [used(root / f"version{number}", (2 + number) * DAY) for number in range(9)]
    root.chmod(0o700)
    cache.cache_directory()
    assert [path for path in others if path.exists()] == others[: cache.KEPT_VERSIONS]


def test_each_use_is_noted(root: Path) -> None:
    own = cache.cache_directory()
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
