"""tcpdump expressions: what libpcap says of wrong ones, where the caret stands, and what is said where it is missing."""

from __future__ import annotations

import ctypes.util
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.kit.bpf import listing
from tests.kit.rig import Frame, Rig, bound
from zcframe import DROP, PASS, Array, plugin, u64
from zcframe.framework.chain.build import _digest
from zcframe.framework.chain.generate import chain_source
from zcframe.framework.chain.inline import Inliner
from zcframe.framework.errors import FilterError, LibpcapError
from zcframe.framework.filters import libpcap
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.filters.native import INLINED_AT_MOST

pytestmark = pytest.mark.needs("libpcap")


def refusal(expression: str) -> list[str]:
    with pytest.raises(FilterError) as caught:
        compile_expression(expression, "--filter")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("expression", "place"),
    [
        ("tcp and and udp", "and udp"),
        ("tcp prt 80", "prt"),
        ("tcp port", ""),
        ("(tcp or udp", ""),
        ("tcp)", ")"),
        ("port 80 80", "80 80"),
        ("not", ""),
        ("ip[0", ""),
        ("tcp[13] & 2", ""),
        ("tcp&&&&udp", "&udp"),
        ("foo", "foo"),
    ],
)
def test_the_caret_stands_under_the_word_that_cannot_be_there(expression: str, place: str) -> None:
    message, shown, caret = refusal(expression)
    assert message == "--filter: can't parse filter expression: syntax error"
    assert shown == f"  {expression}"
    found = len(caret) - 3
    if expression == "port 80 80":
        assert found == len("port 80 ")
    elif expression == "tcp&&&&udp":
        assert found == len("tcp&&")
    else:
        assert found == expression.index(place) if place else found == len(expression)


@pytest.mark.parametrize(
    ("expression", "message", "place"),
    [
        ("udp or port htttp", "unknown port 'htttp'", 12),
        # libpcap 1.10.6 has other words: "port number 99999 greater than maximum 65535".
        ("tcp port 99999", "port number 99999 ", 9),
        ("host 1.2.3.4 or host 256.1.1.1", "invalid IPv4 address '256.1.1.1'", 21),
        ("vlan 5000", "VLAN tag 5000 greater than maximum 4095", 5),
        ("udp and ip broadcast", "netmask not known, so 'ip broadcast' not supported", 8),
        ("len / 0 = 1", "division by zero", 11),
    ],
)
def test_the_caret_stands_under_what_libpcap_names(expression: str, message: str, place: int) -> None:
    complaint, *shown = refusal(expression)
    assert complaint.startswith("--filter: ")
    assert message in complaint
    assert shown == [f"  {expression}", f"  {' ' * place}^"]


def test_what_only_the_kernel_knows_is_refused() -> None:
    message, *_ = refusal("tcp and inbound")
    assert "kernel" in message or "inbound" in message


def test_a_nul_and_control_characters_are_shown() -> None:
    assert refusal("tcp\0udp")[1:] == [r"  tcp\x00udp", "     ^"]
    assert refusal("tcp\tand and")[1:] == [r"  tcp\tand and", f"  {' ' * 9}^"]


def test_of_a_long_expression_the_part_around_the_caret_is_shown() -> None:
    expression = " or ".join(f"host 10.0.{i}.1" for i in range(100)) + " or or " + "tcp or " * 50
    _, shown, caret = refusal(expression)
    assert len(shown) <= 102 and shown.startswith("  ...")
    assert shown[len(caret) - 1 :].startswith("or tcp or tcp")


@pytest.mark.needs("tcpdump")
@pytest.mark.parametrize("expression", ["", "tcp port 80 or udp port 53", "ip6 protochain 6", "vlan 5 and ip[2:2] > 5"])
def test_the_listing_is_that_of_tcpdump(expression: str) -> None:
    assert "".join(f"{line}\n" for line in compile_expression(expression, "").listing) == listing(expression)


@pytest.fixture
def no_libpcap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    libpcap.library.cache_clear()
    monkeypatch.setattr(libpcap, "SONAMES", ("libpcap-of-nowhere.so.1",))
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    yield
    libpcap.library.cache_clear()


def test_without_libpcap_a_line_says_what_to_install(no_libpcap: None) -> None:
    with pytest.raises(LibpcapError, match="apt-get install libpcap0.8") as caught:
        compile_expression("tcp", "--filter")
    assert caught.value.exit_code == 1


# --- in the chain

FRAMES = [
    bytes(12) + bytes.fromhex("0800450000") + bytes(4) + bytes([i, 64, 6 if i % 3 else 17]) + bytes(40)
    for i in range(200)
]


class Counting:
    seen = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.seen[0] += 1
        return DROP if pkt.ttl == 0 else PASS


def counting(expression: str, name: str) -> type:
    return plugin(name=name, filter=expression)(type("Counting", (), dict(vars(Counting))))


def test_what_the_run_and_what_each_plugin_sees() -> None:
    tcp, udp, every = (counting(*words) for words in (("tcp", "a"), ("ip[9] = 17", "b"), ("", "c")))
    with Rig(tcp, udp, every, filter="ip[7] < 100") as rig:
        rig.feed(FRAMES)
        assert [int(rig.state(name).seen[0]) for name in "abc"] == [66, 34, 100]
        assert rig.ledger()["dropped"] == {"filter": 100, "a": 0, "b": 0, "c": 0}
        assert (rig.ledger()["accepted"], rig.ledger()["packets"]) == (100, 200)


def test_tags_of_descriptors_count_and_packets_that_do_not_match_are_not_counted_as_such_without_ip() -> None:
    arp, matching = (bytes(12) + b"\x08\x06" + bytes([0, number]) + bytes(40) for number in (0, 1))
    with Rig("sizes", filter="arp[0:2] = 1 or (vlan 5 and ip)") as rig:
        rig.feed([arp, matching, *(Frame(FRAMES[1], 1, vlan_tci=tci) for tci in (0x2005, 6, None)), arp])
        assert rig.ledger()["accepted"] == 2
        assert rig.ledger()["dropped"]["filter"] == 4
        assert rig.no_ip() == {0x806: 1}


def test_a_program_too_long_to_be_inlined() -> None:
    expression = " or ".join(f"ip[6:2] = {3 * i}" for i in range(INLINED_AT_MOST))
    with Rig("sizes", filter=expression) as rig:
        rig.feed(FRAMES)
        assert rig.ledger()["accepted"] == 67


def test_other_programs_make_other_chains() -> None:
    """And a chain without a filter is what it was before there were filters."""
    tcp, udp = (compile_expression(expression, "") for expression in ("tcp", "udp"))
    plain, inliner = bound("sizes"), Inliner("sizes")
    rows = [(plain, None), (plain, tcp), (plain, udp), (replace(plain, program=tcp), None)]
    assert len({_digest("", [plugin], [inliner], program) for plugin, program in rows}) == 4
    source = chain_source([plain])
    assert "matched" not in source and "tag" not in source and "for i in range(n)" in source


def test_an_expression_that_is_none_is_refused_by_the_name_of_the_plugin() -> None:
    with pytest.raises(FilterError, match=r"plugin a: filter=: .*syntax error"):
        bound(counting("tcp prt", "a"))
    with pytest.raises(TypeError, match="a tcpdump expression in quotes"):
        plugin(filter=5)(Counting)  # type: ignore[call-overload]
