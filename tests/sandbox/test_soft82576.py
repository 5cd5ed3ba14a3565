"""Behind the software NIC: a hostile worker reaches no neighbour, and who reads files reaches nothing but these."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit import reference
from tests.kit.checks import check_lossless, check_sizes, octets_of
from tests.kit.command import Finished, zcframe
from tests.kit.places import BUNDLED

from .attempts import HOSTILE, NEEDED_BY_NIC, NIC, READER, attempts, check_reached, check_refused, succeeded

pytestmark = pytest.mark.needs("root", "seccomp")


def hostile(folder: Path, *more: object) -> Finished:
    """A run of three workers, of which the last is hostile, with an output and every hash verified."""
    plain = ("run", "--json", "--read", BUNDLED, "--queues", 3, "--speed", "max", "--verify-rss")
    return zcframe(*plain, "--plugin", HOSTILE, "sizes", "--out", f"pcapng:{folder / 'all.pcapng'}", *more)


@pytest.fixture(scope="module")
def packets() -> list[reference.Packet]:
    return reference.read(BUNDLED).packets


def test_a_hostile_worker_harms_nobody(tmp_path: Path, packets: list[reference.Packet]) -> None:
    done = hostile(tmp_path)
    check_refused(done.stderr)
    assert not succeeded(done.stderr, READER)
    assert succeeded(done.stderr, NIC) <= NEEDED_BY_NIC
    assert attempts(done.stderr, NIC)
    assert done.code == 0
    lengths = reference.replayed_lengths(packets, len(packets))
    check_lossless(done.document, len(packets), octets_of(lengths))
    check_sizes(done.document["plugins"]["sizes"], lengths)


def test_without_walls_it_could(tmp_path: Path) -> None:
    """The control: the same program, with --no-sandbox."""
    done = hostile(tmp_path, "--no-sandbox")
    check_reached(done.stderr, "hold /memfd:zc-account-0 (deleted)", "hold /memfd:zc-verify-0 (deleted)")
    assert succeeded(done.stderr, NIC) >= NEEDED_BY_NIC | {
        "write a file",
        "write a file of root",
        "execute",
        "socket INET",
    }
