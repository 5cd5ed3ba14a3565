"""Promiscuous mode, as the kernel counts who asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.capture_build import Record, pcap

from .space import Space

pytestmark = pytest.mark.needs("root", "namespaces")

FRAMES = 20


def foreign(folder: Path) -> Path:
    """Frames for another machine's address."""
    file = folder / "foreign.pcap"
    file.write_bytes(pcap([Record(b"\x02\xaa" * 3 + b"\x02" * 6 + b"\x88\xb5" + bytes(50))] * FRAMES))
    return file


def promiscuity(space: Space) -> int:
    """How many ask for it."""
    return int(space.link("near")["promiscuity"])


@pytest.mark.parametrize("backend", ["packet", "xdp"])
@pytest.mark.parametrize("option", [(), ("--no-promiscuous",)])
def test_only_as_long_as_it_is_wanted(space: Space, tmp_path: Path, backend: str, option: tuple[str, ...]) -> None:
    """What comes for other machines without it, as on a veth, is captured as tcpdump -p does."""
    space.veth()
    words = ("--iface", "near", "--backend", backend, "--queues", 1, "--plugin", "sizes", *option)
    plan = space.zcframe("run", "--check", *words)
    assert plan.stdout.splitlines()[0].endswith(", not promiscuous" if option else ", promiscuous")
    with space.capture(tmp_path, *words) as run:
        assert promiscuity(space) == (0 if option else 1)
        space.send(foreign(tmp_path))
        done = run.wait_for(FRAMES).stop()
    assert promiscuity(space) == 0
    assert done.document["source"]["promiscuous"] is not bool(option)
    assert done.document["totals"]["packets"] == FRAMES


def test_what_has_no_such_mode(space: Space) -> None:
    for ifname in ("lo", "any"):
        plan = space.zcframe("run", "--check", "--iface", ifname)
        assert plan.stdout.splitlines()[0].endswith(", not promiscuous")
