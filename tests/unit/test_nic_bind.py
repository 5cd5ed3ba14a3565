"""Which driver has a card: on a made-up bus, whose kernel does what the files ask for, or refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.sysfs import DEVICES, DRIVERS, PROBE, Kernel, add_function, add_interface, picture
from zcframe.framework.cli.front import main
from zcframe.framework.errors import NicError, UsageError, ZcframeError
from zcframe.framework.nic.cards.bind import PciBus, bind, unbind
from zcframe.framework.nic.cards.card import CARD_82576
from zcframe.framework.nic.cards.pci import ethernet_function

CARD = "0000:02:00.0"
PLAIN = "0000:03:00.0"
DISK = "0000:04:00.0"
OURS = {"zc82576": tuple(CARD_82576.ids)}
IGB = {"igb": tuple(CARD_82576.ids)}
OTHERS = {"virtio-pci": ("1af4:1041",), "vfio-pci": ()}
NOBODY: frozenset[str] = frozenset()


def machine(root: Path, driver: str = "igb") -> Path:
    """An 82576 that a driver has, as eth1; another card; a disk."""
    add_interface(root, "eth1", add_function(root, CARD, "8086:10c9", driver))
    add_interface(root, "eth0", add_function(root, PLAIN, "1af4:1041", "virtio-pci"))
    add_function(root, DISK, "1af4:1042", "virtio-pci", kind="0x018000")
    return root


def driver_of(root: Path, address: str = CARD) -> str:
    return picture(root)[f"{address} driver"]


def test_a_card_goes_to_zc82576_and_back(tmp_path: Path) -> None:
    kernel = Kernel(machine(tmp_path), IGB | OURS | OTHERS)
    before = picture(tmp_path)
    assert bind("02:00.0", "zc82576", NOBODY, kernel).driver == "igb"
    assert driver_of(tmp_path) == "zc82576"
    assert kernel.written == [
        (f"{DEVICES}/{CARD}/driver_override", "zc82576"),
        (f"{DRIVERS}/igb/unbind", CARD),
        (PROBE, CARD),
    ]
    held, now = unbind(CARD, NOBODY, kernel)
    assert (held.driver, held.override, now) == ("zc82576", "zc82576", "igb")
    assert picture(tmp_path) == before


def test_a_card_that_nobody_has(tmp_path: Path) -> None:
    kernel = Kernel(machine(tmp_path, driver=""), OURS)
    assert bind(CARD, "zc82576", NOBODY, kernel).driver == ""
    assert driver_of(tmp_path) == "zc82576"


def test_a_second_bind_changes_nothing(tmp_path: Path) -> None:
    kernel = Kernel(machine(tmp_path, driver="zc82576"), OURS)
    assert bind(CARD, "zc82576", NOBODY, kernel).driver == "zc82576"
    assert kernel.written == []


@pytest.mark.parametrize("verb", ["bind", "unbind"])
@pytest.mark.parametrize("failing", [1, 2, 3])
def test_whichever_step_fails_all_is_as_it_was(tmp_path: Path, verb: str, failing: int) -> None:
    kernel = Kernel(machine(tmp_path), IGB | OURS | OTHERS)
    if verb == "unbind":
        bind(CARD, "zc82576", NOBODY, kernel)
        kernel.written.clear()
    kernel.failing, before = failing, picture(tmp_path)
    with pytest.raises(NicError, match="the kernel refused .*Input/output error"):
        bind(CARD, "zc82576", NOBODY, kernel) if verb == "bind" else unbind(CARD, NOBODY, kernel)
    assert picture(tmp_path) == before


def test_a_driver_that_cannot_take_the_card_leaves_it_to_the_former_one(tmp_path: Path) -> None:
    kernel = Kernel(machine(tmp_path), IGB | OURS, unable="zc82576")
    before = picture(tmp_path)
    with pytest.raises(NicError, match=f"zc82576 did not take {CARD}, which is as it was: dmesg"):
        bind(CARD, "zc82576", NOBODY, kernel)
    assert picture(tmp_path) == before


class Interrupted(Kernel):
    """Somebody presses Ctrl-C just when the new driver has the card."""

    def write(self, path: Path, text: str) -> None:
        super().write(path, text)
        if path.name == "drivers_probe":
            raise KeyboardInterrupt


def test_who_interrupts_gets_the_former_driver_back(tmp_path: Path) -> None:
    kernel = Interrupted(machine(tmp_path), IGB | OURS)
    before = picture(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        bind(CARD, "zc82576", NOBODY, kernel)
    assert kernel.written[3:] == [
        (f"{DEVICES}/{CARD}/driver_override", "\n"),
        (f"{DRIVERS}/zc82576/unbind", CARD),
        (f"{DRIVERS}/igb/bind", CARD),
    ]
    assert picture(tmp_path) == before


def test_what_cannot_be_undone_is_said_with_its_cause(tmp_path: Path) -> None:
    kernel = Kernel(machine(tmp_path), IGB | OURS, unable="zc82576", failing=5)
    with pytest.raises(NicError, match="did not take .*; and it could not be undone: the kernel refused .*igb/bind"):
        bind(CARD, "zc82576", NOBODY, kernel)


def test_a_driver_that_was_loaded_first_does_not_get_the_card_back(tmp_path: Path) -> None:
    kernel = Kernel(machine(tmp_path, driver="zc82576"), OURS | IGB)
    assert unbind(CARD, NOBODY, kernel)[1] == "igb"


def test_without_its_own_driver_a_card_is_free(tmp_path: Path) -> None:
    kernel = Kernel(machine(tmp_path, driver="zc82576"), OURS)
    assert unbind(CARD, NOBODY, kernel)[1] == ""
    assert driver_of(tmp_path) == ""


def test_another_card_goes_to_another_driver_and_back(tmp_path: Path) -> None:
    kernel = Kernel(machine(tmp_path), OTHERS)
    before = picture(tmp_path)
    bind(PLAIN, "vfio-pci", NOBODY, kernel)
    assert driver_of(tmp_path, PLAIN) == "vfio-pci"
    assert unbind(PLAIN, NOBODY, kernel)[1] == "virtio-pci"
    assert picture(tmp_path) == before


def test_a_card_that_its_own_driver_has_is_left_alone(tmp_path: Path) -> None:
    kernel = Kernel(machine(tmp_path), IGB | OURS)
    assert unbind(CARD, NOBODY, kernel)[1] == "igb"
    assert kernel.written == []


@pytest.mark.parametrize(
    ("address", "driver", "code", "said"),
    [
        ("nonsense", "zc82576", 2, "'nonsense' is no PCI address such as 0000:02:00.0"),
        ("0000:02:00.8", "zc82576", 2, "is no PCI address"),
        ("../../02:00.0", "zc82576", 2, "is no PCI address"),
        ("02:00.0x", "zc82576", 2, "is no PCI address"),
        ("", "zc82576", 2, "is no PCI address"),
        ("0000:02:00.1", "zc82576", 2, f"there is no PCI function 0000:02:00.1: did you mean {CARD}?"),
        (DISK, "zc82576", 2, f"{DISK} is no Ethernet controller: its class is 0x018000"),
        (PLAIN, "zc82576", 2, f"{PLAIN} is a 1af4:1041: zc82576 takes only 8086:10c9"),
        (CARD, "ixgbe", 1, "the driver ixgbe is not loaded: modprobe ixgbe"),
        (CARD, "zc82576", 1, "eth1 carries this machine's default route"),
    ],
)
def test_refusals_touch_nothing(tmp_path: Path, address: str, driver: str, code: int, said: str) -> None:
    kernel = Kernel(machine(tmp_path), IGB | OURS)
    with pytest.raises(ZcframeError) as refused:
        bind(address, driver, frozenset({"eth1"}), kernel)
    assert said in str(refused.value)
    assert refused.value.exit_code == code
    assert isinstance(refused.value, UsageError) == (code == 2)
    assert kernel.written == []


def test_our_driver_that_is_not_loaded_is_named_with_its_insmod_line(tmp_path: Path) -> None:
    with pytest.raises(NicError, match=r"zc82576 is not loaded: make kernel, then insmod kernel/pf_zerocopy.ko and"):
        bind(CARD, "zc82576", NOBODY, Kernel(machine(tmp_path), IGB))


def test_the_interface_of_the_default_route_is_not_given_back_either(tmp_path: Path) -> None:
    kernel = Kernel(machine(tmp_path, driver="zc82576"), OURS | IGB)
    with pytest.raises(NicError, match="eth1 carries this machine's default route"):
        unbind(CARD, frozenset({"eth1"}), kernel)
    assert kernel.written == []


def test_a_file_that_is_not_there_is_never_made(tmp_path: Path) -> None:
    folder = (tmp_path / PROBE).parent
    folder.mkdir(parents=True)
    with pytest.raises(NicError, match="No such file"):
        PciBus(tmp_path).probe(CARD)
    assert list(folder.iterdir()) == []


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """`command(kernel, *words)`: lines of zcframe nic on a bus of that kernel, in a namespace without a default route."""

    def run(kernel: Kernel, *words: str) -> list[str]:
        monkeypatch.setattr("zcframe.framework.nic.cards.bind.PciBus", lambda: kernel)
        monkeypatch.setattr("zcframe.framework.nic.link.route.default_carriers", frozenset)
        assert main(["nic", *words]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out.splitlines()

    return run


def test_each_command_prints_the_one_that_undoes_it(tmp_path: Path, command: Callable[..., list[str]]) -> None:
    kernel = Kernel(machine(tmp_path), IGB | OURS | OTHERS)
    before, done = picture(tmp_path), f"{CARD}: zc82576 has it, interface eth1;"
    assert command(kernel, "bind", "02:00.0") == [f"{done} igb had it before", f"undo: zcframe nic unbind {CARD}"]
    assert command(kernel, "bind", CARD) == [f"{CARD}: zc82576 has it already, interface eth1"]
    assert command(kernel, "bind", CARD, "--driver", "vfio-pci") == [
        f"{CARD}: vfio-pci has it, interface eth1; zc82576 had it before",
        f"undo: zcframe nic bind {CARD} --driver zc82576",
    ]
    assert command(kernel, "unbind", CARD) == [
        f"{CARD}: igb has it, interface eth1; vfio-pci had it before",
        f"undo: zcframe nic bind {CARD} --driver vfio-pci",
    ]
    assert picture(tmp_path) == before
    assert command(kernel, "unbind", CARD) == [f"{CARD}: igb has it, by itself: there is nothing to give back"]


def test_a_card_that_is_left_without_a_driver_is_told_how_to_get_one(
    tmp_path: Path, command: Callable[..., list[str]]
) -> None:
    kernel = Kernel(machine(tmp_path, driver="zc82576"), OURS)
    assert command(kernel, "unbind", CARD) == [
        f"{CARD}: no driver that is loaded takes it; zc82576 had it before",
        f'to have it taken: modprobe "$(cat /sys/bus/pci/devices/{CARD}/modalias)"',
        f"undo: zcframe nic bind {CARD} --driver zc82576",
    ]


AS_NOBODY = """
import os, sys
from pathlib import Path
from zcframe.framework.nic.cards.bind import PciBus, bind, unbind
os.setgroups([]); os.setgid(65534); os.setuid(65534)
address, verb, bus = sys.argv[1], sys.argv[2], PciBus(Path(sys.argv[3]))
try:
    bind(address, "zc82576", (), bus) if verb == "bind" else unbind(address, (), bus)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.needs("root")
@pytest.mark.parametrize(("verb", "driver"), [("bind", "igb"), ("unbind", "zc82576")])
def test_without_root_nothing_is_tried(verb: str, driver: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        root = Path(folder)
        Kernel(machine(root, driver), IGB | OURS)
        before = picture(root)
        command = [sys.executable, "-c", AS_NOBODY, CARD, verb, folder]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert said == f"NicError no permission to write to {root / DEVICES / CARD}/driver_override: run as root\n"
        assert picture(root) == before


def test_addresses(tmp_path: Path) -> None:
    machine(tmp_path)
    assert ethernet_function("0000:02:00.0", tmp_path) == ethernet_function("02:00.0", tmp_path)
    found = ethernet_function("0000:02:00.0".upper(), tmp_path)
    assert (found.id, found.driver, found.override, found.interfaces, found.card) == (
        "8086:10c9",
        "igb",
        "",
        ("eth1",),
        CARD_82576,
    )
