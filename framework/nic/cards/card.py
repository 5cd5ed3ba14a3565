"""The cards that drivers of ours take: all that is known of each card stands in its entry of CARDS.

Their drivers share their rings with PF_ZEROCOPY. kernel/zc82576/pci.c has the same PCI IDs; a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from zcframe.framework.rss import RssConfig
from zcframe.framework.rss.spread import Spread

# The kernel module of the protocol family, which the drivers need.
FAMILY: Final = "pf_zerocopy"


@dataclass(frozen=True)
class Card:
    """One kind of card.

    name: as its vendor and people call it. ids: PCI IDs that the driver takes, with the full name of each. driver: our
    kernel module. in_tree: the driver of Linux itself. rss_queues: receive queues that its RSS reaches. spread: where
    its RSS sends frames, for given settings.
    """

    vendor: str
    name: str
    ids: Mapping[str, str]
    driver: str
    in_tree: str
    rss_queues: int
    spread: Callable[[RssConfig], Spread]


CARD_82576: Final = Card(
    vendor="Intel",
    name="82576",
    # Copper ports only.
    ids={
        "8086:10c9": "Intel 82576 Gigabit",
        "8086:10e8": "Intel 82576 Gigabit, quad port",
        "8086:1526": "Intel 82576 Gigabit ET2, quad port",
    },
    driver="zc82576",
    in_tree="igb",
    rss_queues=8,
    spread=Spread.of_82576,
)
CARDS: Final = (CARD_82576,)


def card_of(pci_id: str) -> Card | None:
    """The card that has a PCI ID such as "8086:10c9"; None for a card without a driver of ours."""
    return next((card for card in CARDS if pci_id in card.ids), None)


def card_driven_by(driver: str) -> Card | None:
    """The card whose driver of ours has this name; None where it is no driver of ours."""
    return next((card for card in CARDS if driver == card.driver), None)


def shares_rings(driver: str) -> bool:
    """Whether a driver shares its rings with PF_ZEROCOPY."""
    return card_driven_by(driver) is not None


def module_path(module: str) -> str:
    """Where `make kernel` puts a module, from the root of the source tree."""
    return f"kernel/{module}.ko"
