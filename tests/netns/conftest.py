"""What tests in network namespaces share with those of the whole command: the command, the reference, what is left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

import reference
from command import BUNDLED, leave_nothing
from space import Space


@pytest.fixture
def space() -> Iterator[Space]:
    """A network namespace with nothing in it but lo; afterwards no process of the command may be left."""
    with Space() as made:
        yield made
        leave_nothing()


@pytest.fixture(scope="session")
def packets() -> list[reference.Packet]:
    """Those of the bundled trace."""
    return reference.read(BUNDLED).packets
