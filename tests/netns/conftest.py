"""What tests in network namespaces share with those of the whole command: the command, the reference, what is left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

from command import own_processes, until
from xdp_space import Space


@pytest.fixture
def space() -> Iterator[Space]:
    """A network namespace with nothing in it but lo; afterwards no process of the command may be left."""
    with Space() as made:
        yield made
        until(lambda: not own_processes(), 3.0, "processes of the command are left")
