"""RSS of drivers that differ: what is asked of the kernel, by structures of its own header."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest

from zcframe.framework.errors import NicError, UnsupportedError
from zcframe.framework.nic import RssSettings, hashes_by, read_rss, write_rss
from zcframe.framework.nic.ethtool import rss
from zcframe.framework.nic.ethtool.rss import FIELDS, FLOWS, settings_of
from zcframe.framework.rss import SYMMETRIC_KEY, RssConfig

# struct ethtool_rxfh, written here once more: cmd, context, entries, key size, hfunc, input_xfrm, reserved.
HEAD = "=4I2B2xI"


@dataclass
class Driver:
    """Answers as a driver behind the ioctl does; None and empty: it has no such thing."""

    key: bytes = bytes(range(40))
    reta: tuple[int, ...] = tuple(n % 4 for n in range(128))
    fields: dict[int, int] | None = field(default_factory=lambda: dict.fromkeys(FLOWS.values(), FIELDS["ip-pair"]))
    function: int = 1
    transform: int = 0
    heads: list[tuple[int, ...]] = field(default_factory=list)

    def ethtool(self, ifname: str, request: bytes, verb: str) -> bytes:
        (command,) = struct.unpack_from("=I", request)
        if command in (rss.GRXFH, rss.SRXFH):
            return self._flow(request, verb)
        head = struct.unpack_from(HEAD, request)
        if command == rss.SRSSH:
            self.heads.append(head)
            body = request[struct.calcsize(HEAD) :]
            if head[2] != 0xFFFFFFFF:
                self.reta = struct.unpack_from(f"={head[2]}I", body)
            self.key = body[len(self.reta) * 4 :] if head[3] else self.key
            self.function, self.transform = head[4] or self.function, head[5]
            return request
        sizes = (len(self.reta), len(self.key))
        answer = struct.pack(HEAD, command, 0, *sizes, self.function, self.transform, 0)
        assert head[2:4] in ((0, 0), sizes)
        return answer if head[2:4] == (0, 0) else answer + struct.pack(f"={len(self.reta)}I", *self.reta) + self.key

    def _flow(self, request: bytes, verb: str) -> bytes:
        if self.fields is None:
            raise UnsupportedError(f"the driver cannot {verb}")
        command, flow, bits = struct.unpack("=IIQ", request)
        if command == rss.SRXFH:
            self.fields[flow] = bits
        return struct.pack("=IIQ", command, flow, self.fields[flow])


def driver(monkeypatch: pytest.MonkeyPatch, **traits: object) -> Driver:
    found = Driver(**traits)  # type: ignore[arg-type]
    monkeypatch.setattr(rss, "ethtool", found.ethtool)
    return found


def wanted(queues: int = 4, fields: str = "5-tuple") -> RssSettings:
    return settings_of(RssConfig.make("symmetric", fields, queues), read_rss("eth0"), "eth0")


def test_everything_is_set_and_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    nic = driver(monkeypatch)
    write_rss("eth0", wanted(queues=3))
    assert read_rss("eth0") == wanted(queues=3)
    assert (nic.key, nic.reta) == (SYMMETRIC_KEY, tuple(n % 3 for n in range(128)))
    assert nic.fields == dict.fromkeys(FLOWS.values(), FIELDS["5-tuple"])


def test_a_driver_that_keeps_its_own_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    nic = driver(monkeypatch)

    def ethtool(ifname: str, request: bytes, verb: str) -> bytes:
        answer = nic.ethtool(ifname, request, verb)
        nic.key = bytes(40)
        return answer

    monkeypatch.setattr(rss, "ethtool", ethtool)
    with pytest.raises(NicError, match="eth0 did not take the RSS settings"):
        write_rss("eth0", wanted())


def test_what_is_so_already_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    nic = driver(monkeypatch)
    write_rss("eth0", read_rss("eth0"))
    assert nic.heads == []


@pytest.mark.parametrize(("key", "entries"), [(52, 512), (40, 48)])
def test_other_sizes_of_key_and_table(monkeypatch: pytest.MonkeyPatch, key: int, entries: int) -> None:
    nic = driver(monkeypatch, key=bytes(key), reta=(0,) * entries)
    write_rss("eth0", wanted())
    assert nic.key == bytes.fromhex("6d5a") * (key // 2)
    assert nic.reta == tuple(n % 4 for n in range(entries))


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        ({"key": b""}, "the driver of eth0 takes no RSS key (igb"),
        ({"key": bytes(20)}, "eth0 takes RSS keys of 20 bytes, not of 40"),
        ({"reta": ()}, "has no RSS table"),
        ({"fields": None}, "lets nobody choose its hash fields"),
    ],
)
def test_what_a_driver_has_not_is_named(monkeypatch: pytest.MonkeyPatch, traits: dict[str, object], said: str) -> None:
    driver(monkeypatch, **traits)
    with pytest.raises(NicError) as refused:
        wanted()
    assert said in str(refused.value)


def test_a_driver_without_a_key_still_takes_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    nic = driver(monkeypatch, key=b"")
    write_rss("eth0", read_rss("eth0").with_reta([0, 1], "eth0"))
    assert nic.heads == [(rss.SRSSH, 0, 128, 0, 0, 0, 0)]
    assert nic.reta == tuple(n % 2 for n in range(128))


def test_a_driver_without_a_table_is_not_told_to_take_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    nic = driver(monkeypatch, reta=())
    write_rss("eth0", read_rss("eth0").with_key(SYMMETRIC_KEY, "eth0"))
    assert nic.heads == [(rss.SRSSH, 0, 0xFFFFFFFF, 40, 0, 0, 0)]
    assert nic.key == SYMMETRIC_KEY


def test_function_and_transform_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a NIC that hashes by xor and folds the fields first (Linux 6.8): a capture sets plain Toeplitz."""
    nic = driver(monkeypatch, function=2, transform=1)
    before = read_rss("eth0")
    write_rss("eth0", wanted())
    assert (nic.function, nic.transform) == (1, 0)
    write_rss("eth0", before)
    assert (nic.function, nic.transform) == (2, 1)
    write_rss("eth0", before.with_reta([0], "eth0"))
    assert nic.heads[-1][4:6] == (0, 1)


OURS: dict[str, object] = {
    "key": SYMMETRIC_KEY,
    "fields": {1: FIELDS["5-tuple"], 2: FIELDS["5-tuple"], 5: FIELDS["5-tuple"], 6: FIELDS["5-tuple"]},
}


@pytest.mark.parametrize(
    ("traits", "ours"),
    [
        ({}, True),
        # Ours again and again, and any table: that says where frames go, not what they hash to.
        ({"key": bytes.fromhex("6d5a") * 26, "reta": (1,) * 512}, True),
        ({"key": bytes(40)}, False),
        ({"key": bytes(20)}, False),
        ({"key": b""}, False),
        ({"fields": {**OURS["fields"], 2: FIELDS["ip-pair"]}}, False),  # type: ignore[dict-item]
        ({"fields": None}, False),
        ({"function": 2}, False),
        ({"function": 0}, False),
        ({"transform": 1}, False),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_whose_hashes_are_those_of_the_run(
    monkeypatch: pytest.MonkeyPatch, traits: dict[str, object], ours: bool
) -> None:
    driver(monkeypatch, **{**OURS, **traits})
    assert hashes_by("eth0", RssConfig.make("symmetric", "5-tuple", 4)) == ours
