"""What a NIC is held to do by the settings that its driver tells, and what is refused where it tells too little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zcframe.framework.errors import NicError
from zcframe.framework.nic import RssSettings, read_spread
from zcframe.framework.nic.ethtool.rss import ADDRESSES, FIELDS, FLOWS, PORTS
from zcframe.framework.nic.report import spread
from zcframe.framework.rss import FIELD_IP, FIELD_TCP, FIELD_UDP, MICROSOFT_KEY, SYMMETRIC_KEY
from zcframe.framework.rss.spread import ANYWHERE, Spread

IGB = dict.fromkeys(FLOWS, ADDRESSES) | {"tcp4": ADDRESSES | PORTS, "tcp6": ADDRESSES | PORTS}
TABLE = tuple(n * 4 // 128 for n in range(128))
TOLD = RssSettings(MICROSOFT_KEY, TABLE, tuple(IGB.items()))


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Have a driver tell these settings, and the kernel this key."""

    def tell(settings: RssSettings, key: str = "") -> None:
        (tmp_path / "key").write_text(key)
        monkeypatch.setattr(spread, "read_rss", lambda _: settings)
        monkeypatch.setattr(spread.system_key, "__defaults__", (tmp_path / "key",))

    return tell


def test_ports_of_tcp_alone_as_igb_has_it(driver: Any) -> None:
    driver(TOLD)
    assert read_spread("eth0") == Spread(MICROSOFT_KEY, FIELD_IP | FIELD_TCP, TABLE, ANYWHERE, hashes=False)


def test_a_longer_key_and_a_longer_table(driver: Any) -> None:
    driver(RssSettings(SYMMETRIC_KEY + bytes(12), TABLE * 4, tuple(dict.fromkeys(FLOWS, FIELDS["5-tuple"]).items())))
    assert read_spread("eth0") == Spread(SYMMETRIC_KEY, FIELD_IP | FIELD_TCP | FIELD_UDP, TABLE * 4)


def test_a_driver_without_a_key_has_the_kernels(driver: Any) -> None:
    driver(replace(TOLD, key=b""), (MICROSOFT_KEY + bytes(12)).hex(":") + "\n")
    assert read_spread("eth0").key == MICROSOFT_KEY


def test_the_kernels_own_key_is_read_as_it_is_told() -> None:
    told = Path("/proc/sys/net/core/netdev_rss_key")
    if not told.exists():
        pytest.skip("no /proc/sys/net/core/netdev_rss_key here")
    key = spread.system_key()
    assert (key or bytes(52)).hex(":") == told.read_text().strip()


def test_a_kernel_that_has_made_no_key_yet_tells_zeros(driver: Any) -> None:
    driver(replace(TOLD, key=b""), bytes(52).hex(":"))
    with pytest.raises(NicError, match="neither its driver nor the kernel tells a key"):
        read_spread("eth0")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (replace(TOLD, key=b""), "neither its driver nor the kernel tells a key"),
        (replace(TOLD, reta=()), "its table has 0 entries, and a power of two is needed"),
        (replace(TOLD, reta=TABLE[:100]), "its table has 100 entries"),
        (replace(TOLD, function=2), "it does not hash by plain Toeplitz"),
        (replace(TOLD, transform=1), "it does not hash by plain Toeplitz"),
        (replace(TOLD, fields=()), "its driver does not tell its hash fields"),
        (replace(TOLD, fields=tuple((IGB | {"udp6": ADDRESSES | PORTS}).items())), "not the same for IPv4 and IPv6"),
        (replace(TOLD, fields=tuple((IGB | {"udp4": 1 << 4, "udp6": 1 << 4}).items())), "does not tell its hash"),
    ],
)
def test_what_cannot_be_verified_is_refused_with_the_reason(driver: Any, told: RssSettings, said: str) -> None:
    driver(told)
    with pytest.raises(NicError, match=f"^--verify-rss: eth0 cannot be verified: .*{said}"):
        read_spread("eth0")
