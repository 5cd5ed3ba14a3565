"""After each test, whatever it did to the command, nothing of it may be left on the machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from command import own_processes, until

SHARED = Path("/dev/shm")


def _named_memory() -> set[str]:
    """Files in shared memory that belong to us; memfds have no name and are looked for through their processes."""
    return (
        {entry.name for entry in SHARED.iterdir() if entry.stat().st_uid == os.getuid()} if SHARED.is_dir() else set()
    )


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = _named_memory()
    yield
    try:
        until(lambda: not own_processes(), 2.0, "processes of the command are left")
    finally:
        for process in own_processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    assert not _named_memory() - before
