"""Keys, redirection tables, configurations: what is taken, what is refused, and in what words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from zcframe.framework.errors import UsageError
from zcframe.framework.rss import (
    FIELD_IP,
    FIELD_TCP,
    FIELD_UDP,
    MICROSOFT_KEY,
    SYMMETRIC_KEY,
    RssConfig,
    default_reta,
    field_mask,
    is_symmetric,
    rss_key,
)
from zcframe.framework.rss.reta import check_reta

HEX = bytes(range(40)).hex()


def test_named_keys() -> None:
    assert rss_key("symmetric") == SYMMETRIC_KEY == b"\x6d\x5a" * 20
    assert rss_key("microsoft") == MICROSOFT_KEY and len(MICROSOFT_KEY) == 40


def test_random_keys_differ() -> None:
    first, second = rss_key("random"), rss_key("random")
    assert len(first) == len(second) == 40 and first != second


@pytest.mark.parametrize(
    "spec", [HEX, HEX.upper(), ":".join(HEX[i : i + 2] for i in range(0, 80, 2)), "-".join([HEX[:40], HEX[40:]])]
)
def test_hex_keys(spec: str) -> None:
    assert rss_key(spec) == bytes(range(40))


WRONG = ["", "Symmetric", HEX[:-1], HEX[:-2], HEX + "00", HEX[:-2] + "zz", ":" + HEX, HEX + "\n", "0:1", "é"]


@pytest.mark.parametrize("spec", WRONG)
def test_wrong_keys(spec: str) -> None:
    with pytest.raises(UsageError, match=r"--rss-key .* use microsoft, symmetric, random or 40 bytes in hex"):
        rss_key(spec)


def test_fields() -> None:
    assert field_mask("ip-pair") == FIELD_IP
    assert field_mask("5-tuple") == FIELD_IP | FIELD_TCP | FIELD_UDP
    with pytest.raises(UsageError, match="--rss-fields 4-tuple: unknown; use one of ip-pair, 5-tuple"):
        field_mask("4-tuple")


@pytest.mark.parametrize("queues", range(1, 17))
def test_default_reta(queues: int) -> None:
    reta = default_reta(queues)
    assert reta.dtype == np.uint8 and reta.tolist() == [i % queues for i in range(128)]


@pytest.mark.parametrize("queues", [0, -1, 17, 128])
def test_number_of_queues(queues: int) -> None:
    with pytest.raises(UsageError, match=f"--queues {queues}: the 82576 has 1 to 16 receive queues"):
        default_reta(queues)


def test_reta_is_checked() -> None:
    assert check_reta(default_reta(4), 4) == tuple(i % 4 for i in range(128))
    with pytest.raises(UsageError, match="127 entries"):
        check_reta([0] * 127, 4)
    with pytest.raises(UsageError, match="bucket 5 goes to queue 4, but there are only 4"):
        check_reta([0] * 5 + [4] + [0] * 122, 4)
    with pytest.raises(UsageError, match="bucket 0 goes to queue -1"):
        check_reta([-1] * 128, 4)


def test_configuration() -> None:
    config = RssConfig.make("symmetric", "5-tuple", 8)
    assert (config.key, config.key_name, config.fields) == (SYMMETRIC_KEY, "symmetric", "5-tuple")
    assert config.reta == tuple(i % 8 for i in range(128)) and config.queues == 8
    assert config.field_mask == FIELD_IP | FIELD_TCP | FIELD_UDP
    assert config.reta_array().dtype == np.uint8 and tuple(config.reta_array()) == config.reta
    assert config.document() == {"key": SYMMETRIC_KEY.hex(), "fields": "5-tuple", "reta": list(config.reta)}
    assert RssConfig.make(HEX, "ip-pair", 1).key_name == "hex"


def test_configuration_is_checked() -> None:
    config = RssConfig.make("microsoft", "ip-pair", 2)
    with pytest.raises(UsageError, match="--queues 17"):
        RssConfig.make("microsoft", "ip-pair", 17)
    with pytest.raises(UsageError, match="--rss-fields none"):
        RssConfig.make("microsoft", "none", 2)
    with pytest.raises(UsageError, match="3 bytes"):
        dataclasses.replace(config, key=b"abc")
    with pytest.raises(UsageError, match="goes to queue 16"):
        dataclasses.replace(config, reta=(16,) * 128)
    with pytest.raises(UsageError, match="goes to queue 2"):
        config.with_reta([2] * 128, 2)
    assert config.with_reta([1] * 128, 2).reta == (1,) * 128


def test_symmetry_is_proved() -> None:
    proof = is_symmetric(SYMMETRIC_KEY, "5-tuple")
    assert proof and set(proof.checked) == {"ipv4", "ipv6", "tcp-ipv4", "tcp-ipv6", "udp-ipv4", "udp-ipv6"}
    assert str(is_symmetric(SYMMETRIC_KEY, "ip-pair")) == "symmetric: proved for ipv4, ipv6"


def test_other_keys_are_refused_by_the_first_type_that_breaks() -> None:
    proof = is_symmetric(MICROSOFT_KEY, "ip-pair")
    assert not proof and proof.broken_by == "ipv4" and proof.checked == ()
    assert not is_symmetric(rss_key("random"), "5-tuple")
    with pytest.raises(UsageError, match=r"microsoft with fields 5-tuple is not symmetric: ipv4 .*--rss-key symmetric"):
        RssConfig.make("microsoft", "5-tuple", 8).require_symmetric()


def flipped(bit: int) -> bytes:
    return (int.from_bytes(SYMMETRIC_KEY) ^ 1 << (319 - bit)).to_bytes(40)


@pytest.mark.parametrize(
    ("bit", "ip_pair", "five_tuple"),
    [
        (0, "ipv4", "ipv4"),
        (94, "ipv4", "ipv4"),  # the last bit that 64 bits of addresses reach: 63 + 31
        (95, "ipv6", "ipv6"),  # IPv6 addresses reach bits 0..286
        (286, "ipv6", "ipv6"),
        (287, None, "tcp-ipv6"),  # with ports 0..318
        (318, None, "tcp-ipv6"),
        (319, None, None),  # no input reaches the last bit of the key
    ],
)
def test_one_wrong_bit_of_the_key_is_found(bit: int, ip_pair: str | None, five_tuple: str | None) -> None:
    assert is_symmetric(flipped(bit), "ip-pair").broken_by == ip_pair
    assert is_symmetric(flipped(bit), "5-tuple").broken_by == five_tuple


def test_proof_wants_a_whole_key() -> None:
    with pytest.raises(UsageError, match="4 bytes"):
        is_symmetric(b"abcd", "5-tuple")
