"""Whether a NIC sends both directions of every flow to one queue, by the settings that its driver reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from zcframe.framework import abi
from zcframe.framework.errors import NicError
from zcframe.framework.nic.ethtool.rss import FUNCTIONS, TOEPLITZ, TRANSFORMS, RssSettings, read_rss
from zcframe.framework.rss.fields import IPV4, IPV6, TCP_IPV4, TCP_IPV6, UDP_IPV4, UDP_IPV6, HashType
from zcframe.framework.rss.symmetry import prove_kinds

# Bits of RXH_*: each end of a flow, with the bit of the other end.
PAIRS: Final = {"addresses": (1 << 4, 1 << 5), "ports": (1 << 6, 1 << 7)}
# Hash types of a flow with and without ports.
KINDS: Final[dict[str, tuple[HashType, HashType]]] = {
    "tcp4": (TCP_IPV4, IPV4),
    "udp4": (UDP_IPV4, IPV4),
    "tcp6": (TCP_IPV6, IPV6),
    "udp6": (UDP_IPV6, IPV6),
}

Finding = Literal["symmetric", "asymmetric", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """What the settings prove. finding: "unknown" where the driver does not report enough. text: the grounds."""

    finding: Finding
    text: str

    def __str__(self) -> str:
        heads = {"symmetric": "symmetric", "asymmetric": "not symmetric", "unknown": "cannot be proved"}
        return f"{heads[self.finding]}: {self.text}"


UNTOLD: Final = Verdict("unknown", "the driver does not tell its RSS settings")


def _one_sided(settings: RssSettings) -> str:
    """A flow of which only one end goes into the hash, in words; "" for none."""
    for flow, bits in settings.fields:
        for what, (source, destination) in PAIRS.items():
            if bool(bits & source) != bool(bits & destination):
                return f"{flow} is hashed by the {what} of one end only"
    return ""


def _kinds(settings: RssSettings) -> tuple[HashType, ...]:
    """Every hash type that can occur. Fragments, and packets of other protocols, are hashed by their addresses."""
    kinds = {IPV4: None, IPV6: None}
    for flow, bits in settings.fields:
        with_ports, without = KINDS[flow]
        kinds[with_ports if bits & sum(PAIRS["ports"]) else without] = None
    return tuple(kinds)


def _unknown(settings: RssSettings) -> str:
    """What the driver does not report, or reports and we do not know; "" where nothing stands against a verdict."""
    if not settings.fields:
        return "the driver does not tell its hash fields"
    if settings.transform not in TRANSFORMS:
        return f"the NIC changes the fields before it hashes them, in a way that is not known ({settings.transform})"
    if settings.transform:
        return ""
    if settings.function != TOEPLITZ:
        return f"the hash function is {FUNCTIONS.get(settings.function, 'not told')}, not Toeplitz"
    if len(settings.key) < abi.RSS_KEY_SIZE:
        return "the driver does not tell its key"
    return ""


def judge(settings: RssSettings) -> Verdict:
    """Verdict by the settings alone. It covers every input of every hash type (framework/rss/symmetry.py).

    The table sends equal hashes to one queue, whatever its entries are. The verdict does not cover frames that never
    come to the table, such as flows that the NIC steers by filters (ethtool -n).
    """
    if text := _one_sided(settings):
        return Verdict("asymmetric", text)
    if text := _unknown(settings):
        return Verdict("unknown", text)
    if settings.transform:
        name = TRANSFORMS[settings.transform]
        return Verdict(
            "symmetric", f"{name}: the NIC folds both ends of a flow into one before it hashes, with any key"
        )
    proof = prove_kinds(settings.key[: abi.RSS_KEY_SIZE], _kinds(settings))
    if proof:
        return Verdict("symmetric", f"proved from the settings read back, for {', '.join(proof.checked)}")
    return Verdict("asymmetric", f"{proof.broken_by} breaks it at input bit {proof.broken_bit}")


def verdict_of(ifname: str) -> Verdict:
    """Verdict on the settings of the NIC at this moment, as far as its driver reports them."""
    try:
        return judge(read_rss(ifname))
    except NicError:
        return UNTOLD
