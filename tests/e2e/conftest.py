"""After each test, whatever it did to the command, nothing of it may be left on the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.command import leave_nothing, until

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
    leave_nothing()
    # A semaphore of a test beside this one has a name for the moment in which it is made.
    until(lambda: not _named_memory() - before, 10.0, "named memory of the command is left")
