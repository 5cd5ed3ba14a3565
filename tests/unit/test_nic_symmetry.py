"""What is said of a NIC's symmetry, against hashes of random flows in both directions."""

from __future__ import annotations

import random

import pytest

from zcframe.framework.nic import RssSettings, judge
from zcframe.framework.nic.ethtool.rss import ADDRESSES, FIELDS, FLOWS, PORTS, TOEPLITZ
from zcframe.framework.rss import MICROSOFT_KEY, SYMMETRIC_KEY
from zcframe.framework.rss.symmetry import toeplitz_hash

SOURCE_ADDRESS, SOURCE_PORT = 1 << 4, 1 << 6
# 16-bit period broken in the last bytes that ports of IPv6 meet, and in one that IPv4 with ports does not.
BROKEN_LATE = SYMMETRIC_KEY[:38] + bytes.fromhex("0000")


def settings(key: bytes, fields: int | dict[str, int], **more: int) -> RssSettings:
    by_flow = fields if isinstance(fields, dict) else dict.fromkeys(FLOWS, fields)
    return RssSettings(key, tuple(n % 8 for n in range(128)), tuple(by_flow.items()), **more)


def splits(found: RssSettings, flow: str, rng: random.Random) -> bool:
    """Whether a random flow hashes differently in its two directions."""
    size = 4 if flow.endswith("4") else 16
    ends = [(rng.randbytes(size), rng.randbytes(2)) for _ in "ab"]
    bits = dict(found.fields)[flow]

    def hashed(source: tuple[bytes, bytes], destination: tuple[bytes, bytes]) -> int:
        parts = zip((0, 0, 1, 1), (source, destination) * 2, range(4, 8), strict=True)
        return toeplitz_hash(found.key[:40], b"".join(end[part] for part, end, bit in parts if bits >> bit & 1))

    return hashed(*ends) != hashed(*reversed(ends))


@pytest.mark.parametrize("key", [SYMMETRIC_KEY, MICROSOFT_KEY, BROKEN_LATE, SYMMETRIC_KEY + bytes(12), bytes(40)])
@pytest.mark.parametrize(
    "fields",
    [FIELDS["ip-pair"], FIELDS["5-tuple"], {**dict.fromkeys(FLOWS, ADDRESSES), "tcp6": ADDRESSES | PORTS}, ADDRESSES | SOURCE_PORT, SOURCE_ADDRESS],
    ids=["ip-pair", "5-tuple", "mixed", "one port", "one address"],
)  # fmt: skip
def test_the_verdict_is_what_random_flows_show(key: bytes, fields: int | dict[str, int]) -> None:
    found, rng = settings(key, fields), random.Random(3)
    seen = any(splits(found, flow, rng) for flow in FLOWS for _ in range(100))
    # A key of zeros sends every flow anywhere: symmetric, but for the fields, which are judged as such.
    expected = "asymmetric" if seen or fields in (ADDRESSES | SOURCE_PORT, SOURCE_ADDRESS) else "symmetric"
    assert judge(found).finding == expected, judge(found)


def test_the_verdict_names_its_grounds() -> None:
    assert "proved from the settings read back, for ipv4, ipv6, tcp-ipv4" in str(
        judge(settings(SYMMETRIC_KEY, FIELDS["5-tuple"]))
    )
    assert "tcp4 is hashed by the ports of one end only" in str(judge(settings(SYMMETRIC_KEY, ADDRESSES | SOURCE_PORT)))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (settings(b"", FIELDS["5-tuple"]), "does not tell its key"),
        (settings(SYMMETRIC_KEY, {}), "does not tell its hash fields"),
        (settings(SYMMETRIC_KEY, FIELDS["5-tuple"], function=2), "is xor, not Toeplitz"),
        (settings(SYMMETRIC_KEY, FIELDS["5-tuple"], function=0), "is not told, not Toeplitz"),
        (settings(SYMMETRIC_KEY, FIELDS["5-tuple"], transform=64), "not known (64)"),
    ],
)
def test_what_cannot_be_proved(found: RssSettings, said: str) -> None:
    assert judge(found).finding == "unknown"
    assert str(judge(found)).startswith("cannot be proved: ")
    assert said in str(judge(found))


@pytest.mark.parametrize("transform", [1, 2])
def test_a_nic_that_folds_both_ends_is_symmetric_with_any_key(transform: int) -> None:
    for key in (MICROSOFT_KEY, b""):
        assert judge(settings(key, FIELDS["5-tuple"], transform=transform)).finding == "symmetric"
    assert judge(settings(b"", ADDRESSES | SOURCE_PORT, transform=transform)).finding == "asymmetric"


def test_settings_survive_a_document() -> None:
    found = settings(SYMMETRIC_KEY, FIELDS["5-tuple"], function=TOEPLITZ, transform=1)
    assert RssSettings.of(found.document()) == found
