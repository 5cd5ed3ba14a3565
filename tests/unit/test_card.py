"""What is known of our cards stands in one table; what cannot import that table is compared with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zcframe.framework.cli.nic import DRIVER
from zcframe.framework.nic.cards.card import CARDS, FAMILY, Card, card_driven_by, card_of, module_path, shares_rings

KERNEL = Path(__file__).resolve().parents[2] / "kernel"
PCI_ID = re.compile(r"\{ PCI_VDEVICE\(INTEL, 0x([0-9A-F]{4})\) \}")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_the_driver_takes_the_same_cards(card: Card) -> None:
    source = (KERNEL / card.driver / "pci.c").read_text()
    assert {f"8086:{number.lower()}" for number in PCI_ID.findall(source)} == set(card.ids)
    assert f'.name = "{card.driver}"' in source


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_the_driver_has_as_many_queues(card: Card) -> None:
    header = (KERNEL / card.driver / f"{card.driver}.h").read_text()
    assert re.findall(rf"#define {card.driver.upper()}_QUEUES\s+(\d+)", header) == [str(card.rss_queues)]


def test_the_modules_are_built_under_the_same_names() -> None:
    modules = [FAMILY, *(card.driver for card in CARDS)]
    found = re.findall(r"^obj-m := (.*)$", (KERNEL / "Kbuild").read_text(), re.MULTILINE)
    assert found == [" ".join(f"{module}.o" for module in modules)]
    copied = re.findall(
        r"^\tcp -a Kbuild include family (.*) \$\(OUT\)/$", (KERNEL / "Makefile").read_text(), re.MULTILINE
    )
    assert copied == [" ".join(modules[1:])]
    assert module_path(FAMILY) == "kernel/pf_zerocopy.ko"


def test_the_command_line_names_the_first_driver() -> None:
    assert CARDS[0].driver == DRIVER


def test_a_card_is_found_by_each_of_its_names() -> None:
    for card in CARDS:
        assert card_driven_by(card.driver) is card
        assert all(card_of(pci_id) is card for pci_id in card.ids)
        assert shares_rings(card.driver) and not shares_rings(card.in_tree)
    assert card_of("8086:1521") is None and card_driven_by("") is None
