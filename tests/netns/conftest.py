"""What tests in network namespaces share with those of the whole command: the command, the reference, what is left."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import reference
from tests.kit.command import leave_nothing
from tests.kit.places import BUNDLED

from .space import Space


@pytest.fixture
def space() -> Iterator[Space]:
    """A network namespace with nothing in it but lo; afterwards no process of the command may be left."""
    with Space() as made:
        yield made
        leave_nothing()


# What drivers of near, lo and no interface tell XDP programs.
FEATURES = """
import socket
from zcframe.framework.nic.link.netdev import metadata_features
print(*(metadata_features(index) for index in (socket.if_nametoindex("near"), socket.if_nametoindex("lo"), 4711)))
"""
BTF = Path("/sys/kernel/btf/vmlinux")


@pytest.fixture(scope="session")
def tells_tags() -> bool:
    """Whether veth tells XDP programs of tags that were taken off, which is so from Linux 6.8 on."""
    if tuple(map(int, platform.release().split(".")[:2])) < (6, 8) or not BTF.exists():
        return False
    with Space() as made:
        made.veth()
        assert made.run(sys.executable, "-c", FEATURES) == "7 0 0"
    return True


@pytest.fixture(scope="session")
def packets() -> list[reference.Packet]:
    """Those of the bundled trace."""
    return reference.read(BUNDLED).packets
