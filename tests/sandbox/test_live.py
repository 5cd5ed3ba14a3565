"""A hostile worker on live sources: rings and sockets of its neighbours, the program and its map are out of reach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import reference
from tests.kit.checks import check_lossless, check_sizes, octets_of
from tests.kit.command import Finished
from tests.kit.places import BUNDLED
from tests.netns.space import Space

from .attempts import HOSTILE, check_reached, check_refused

pytestmark = pytest.mark.needs("root", "namespaces", "seccomp")

QUEUES = 2
# What a socket's owner can do to others than itself.
OWN_SOCKET = ("take the counts of its own socket", "set its own socket", "write state of the neighbour")
REACHED = {
    "packet": (*OWN_SOCKET, "write header of the neighbour's ring", "send by its own socket"),
    "xdp": (*OWN_SOCKET, "write header of the neighbour's ring", "write receive ring of the neighbour"),
}


@pytest.fixture
def space() -> Iterator[Space]:
    with Space() as found:
        found.veth(QUEUES)
        yield found


def hostile(space: Space, folder: Path, backend: str, *more: object) -> Finished:
    """A capture of the bundled trace by workers of which the last is hostile."""
    words = ("--backend", backend, "--iface", "near", "--queues", QUEUES, "--plugin", HOSTILE, "sizes")
    with space.capture(folder, *words, *more) as run:
        space.send(BUNDLED)
        return run.stop()


@pytest.mark.parametrize("backend", ["packet", "xdp"])
def test_a_hostile_worker_harms_nobody(space: Space, tmp_path: Path, backend: str) -> None:
    packets = reference.read(BUNDLED).packets
    done = hostile(space, tmp_path, backend)
    check_refused(done.stderr)
    assert done.code == 0
    lengths = reference.replayed_lengths(packets, len(packets))
    check_lossless(done.document, len(packets), octets_of(lengths))
    check_sizes(done.document["plugins"]["sizes"], lengths)


@pytest.mark.parametrize("backend", ["packet", "xdp"])
def test_without_walls_it_could(space: Space, tmp_path: Path, backend: str) -> None:
    """The control: the same program, with --no-sandbox."""
    check_reached(hostile(space, tmp_path, backend, "--no-sandbox").stderr, *REACHED[backend])
