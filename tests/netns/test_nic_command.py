"""`zcframe nic` and `zcframe doctor` on real interfaces, in a namespace of their own, against ip, ethtool and sysfs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from netspace import NetSpace

pytestmark = pytest.mark.needs("root", "namespaces", "ethtool")

QUEUES = 4
CARD = "0000:02:00.0"
# What a machine with an 82576 shows: its interface is v0 of the namespace. Its kernel is not there: files take every write.
CARD_TREE = {
    f"bus/pci/devices/{CARD}/vendor": "0x8086\n",
    f"bus/pci/devices/{CARD}/device": "0x10c9\n",
    f"bus/pci/devices/{CARD}/class": "0x020000\n",
    f"bus/pci/devices/{CARD}/driver_override": "(null)\n",
    f"bus/pci/devices/{CARD}/net/v0/flags": "",
    "bus/pci/drivers/igb/bind": "",
    "bus/pci/drivers/igb/unbind": "",
    "bus/pci/drivers/zc82576/bind": "",
    "bus/pci/drivers_probe": "",
    "class/net/v0/flags": "0x1003\n",
    "class/net/v0/carrier": "1\n",
}


@pytest.fixture
def space() -> Iterator[NetSpace]:
    with NetSpace() as found:
        found.veth("v0", QUEUES)
        yield found


@pytest.fixture
def card_space(space: NetSpace, tmp_path: Path) -> NetSpace:
    """The same, with the card of CARD_TREE instead of what sysfs shows."""
    for name, text in CARD_TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "bus/pci/devices" / CARD / "driver").symlink_to("../../drivers/igb")
    space.run("mount", "--bind", tmp_path, "/sys")
    return space


def listed(space: NetSpace) -> dict[str, dict[str, Any]]:
    """Virtual interfaces, by name."""
    found = json.loads(space.run(sys.executable, "-m", "zcframe", "nic", "list", "--json"))
    return {port["name"]: port for port in found["virtual"]}


def status(space: NetSpace, name: str) -> dict[str, Any]:
    document = json.loads(space.run(sys.executable, "-m", "zcframe", "nic", "status", name, "--json"))
    (found,) = document["interfaces"]
    return found


def told_by_ip(space: NetSpace) -> dict[str, tuple[bool, bool]]:
    """(up, has a link), by name."""
    links = json.loads(space.run("ip", "-j", "link"))
    return {link["ifname"]: ("UP" in link["flags"], "LOWER_UP" in link["flags"]) for link in links}


def channels_of_ethtool(text: str) -> dict[str, int]:
    """First the limits, then what is in force; n/a is none."""
    rows = re.findall(r"^(RX|TX|Other|Combined):\s+(\S+)$", text, re.MULTILINE)
    names = [f"max_{name.lower()}" for name, _ in rows[:4]] + [name.lower() for name, _ in rows[4:]]
    return {name: 0 if count == "n/a" else int(count) for name, (_, count) in zip(names, rows, strict=True)}


def check_list(space: NetSpace) -> None:
    found = {name: (port["up"], port["linked"]) for name, port in listed(space).items()}
    assert found == told_by_ip(space)


def test_interfaces_are_those_of_ip(space: NetSpace) -> None:
    check_list(space)
    assert told_by_ip(space)["v0"] == (True, True)
    space.run("ip", "link", "set", "v0-peer", "down")
    check_list(space)
    assert told_by_ip(space)["v0"] == (True, False)
    space.run("ip", "link", "set", "v0", "down")
    check_list(space)
    assert listed(space)["v0"]["up"] is False


def carriers(space: NetSpace) -> set[str]:
    return {name for name, port in listed(space).items() if port["default_route"]}


@pytest.mark.parametrize(
    ("routes", "wanted"),
    [
        (
            ["route add 192.0.2.0/24 dev v0", "-6 route add 2001:db8::/32 dev v0", "-6 route add unreachable default"],
            set(),
        ),
        (["route add default dev v0"], {"v0"}),
        (["-6 route add default dev v0"], {"v0"}),
        (["route add default dev v0 table 100"], {"v0"}),
        (["nexthop add id 1 dev v0", "route add default nhid 1"], {"v0"}),
        (["route add default nexthop dev v0 weight 1 nexthop dev v0-peer weight 1"], {"v0", "v0-peer"}),
        (["link add link v0 name m0 type macvlan", "link set m0 up", "route add default dev m0"], {"v0", "m0"}),
        (
            ["link add br0 type bridge", "link set v0 master br0", "link set br0 up", "route add default dev br0"],
            {"v0", "br0"},
        ),
    ],
)
def test_whatever_a_default_route_goes_by(space: NetSpace, routes: list[str], wanted: set[str]) -> None:
    for words in routes:
        space.run("ip", *words.split())
    assert carriers(space) == wanted


def test_status_is_what_ethtool_says(space: NetSpace) -> None:
    for queues in (QUEUES, 2):
        space.run("ethtool", "-L", "v0", "rx", queues)
        found = status(space, "v0")
        assert found["channels"] == channels_of_ethtool(space.run("ethtool", "-l", "v0"))
        assert len(space.run("ls", "/sys/class/net/v0/queues").split()) == found["channels"]["rx"] + QUEUES
    code = "from dataclasses import astuple; from zcframe.framework.nic.driver import read_driver; print(*astuple(read_driver('v0')), sep='|')"
    rows = dict(line.split(":", 1) for line in space.run("ethtool", "-i", "v0").splitlines())
    wanted = [rows[name].strip() for name in ("driver", "version", "firmware-version", "bus-info")]
    assert space.run(sys.executable, "-c", code).split("|") == wanted
    assert found["driver"] == wanted[0] == "veth"
    # veth tells neither: one reader says so in JSON, the other in words.
    assert (found["rings"], found["rss"]) == (None, None)
    assert space.attempt("ethtool", "-g", "v0").returncode != 0
    assert (found["pci"], found["interrupts"], found["shared_rings"]) == (None, [], [])


def test_status_is_one_screen(space: NetSpace) -> None:
    done = space.zcframe("nic", "status", "v0")
    assert done.stdout.splitlines() == [
        "interface v0, up, link",
        "driver    veth",
        "channels  4 receive queues, of 4",
        "rings     not told by the driver",
        "rss       not told by the driver",
        "symmetry  cannot be proved: the driver does not tell its RSS settings",
        "irqs      none by queue while it is down, or none",
    ]


def test_rings_of_this_machine_are_those_of_ethtool() -> None:
    """Nothing is changed; which interfaces there are is the machine's business, and lo is one of them."""
    import subprocess

    from zcframe.framework.nic import NicError, read_rings

    for ifname in sorted(path.name for path in Path("/sys/class/net").iterdir() if path.is_dir()):
        told = subprocess.run(["ethtool", "-g", ifname], capture_output=True, text=True, check=False)
        if told.returncode:
            with pytest.raises(NicError, match="cannot tell its ring sizes"):
                read_rings(ifname)
            continue
        rows = re.findall(r"^(RX|TX):\s+(\d+)$", told.stdout, re.MULTILINE)
        rings = read_rings(ifname)
        assert [("RX", rings.max_rx), ("TX", rings.max_tx), ("RX", rings.rx), ("TX", rings.tx)] == [
            (name, int(count)) for name, count in rows
        ]


def test_doctor_on_an_interface_is_what_ethtool_says(space: NetSpace) -> None:
    for wanted in ("on", "off"):
        space.run("ethtool", "-K", "v0", "gro", wanted)
        assert f"generic-receive-offload: {wanted}" in space.run("ethtool", "-k", "v0")
        done = space.zcframe("doctor", "--iface", "v0", "--json")
        checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        assert checks["gro"]["state"] == ("warn" if wanted == "on" else "ok")
        assert (done.returncode, checks["capture"]["text"]) == (0, "zcframe run --iface v0 uses packet")
    # What it says mends it does.
    space.run("ethtool", "-K", "v0", "gro", "on")
    done = space.zcframe("doctor", "--iface", "v0", "--json")
    (remedy,) = (check["remedy"] for check in json.loads(done.stdout)["checks"] if check["name"] == "gro")
    space.run("sh", "-c", remedy)
    assert "generic-receive-offload: off" in space.run("ethtool", "-k", "v0")


@pytest.mark.parametrize("ifname", ["v0", "lo"])
def test_the_verdict_is_what_a_run_does(space: NetSpace, ifname: str) -> None:
    def verdict(*before: str) -> tuple[int, dict[str, Any]]:
        done = space.attempt(*before, sys.executable, "-m", "zcframe", "doctor", "--iface", ifname, "--json")
        return done.returncode, json.loads(done.stdout)["checks"][-1]

    run = [sys.executable, "-m", "zcframe", "run", "--iface", ifname, "--queues", "1", "--check", "--json"]
    backend = json.loads(space.run(*run))["source"]["backend"]
    assert verdict()[1]["text"] == f"zcframe run --iface {ifname} uses {backend}"
    without = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    code, check = verdict(*without)
    assert (code, check["state"]) == (1, "fail")
    failed = space.attempt(*without, *run)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "CAP_NET_RAW is missing" in failed.stderr
    assert "CAP_NET_RAW is missing" in check["text"]


def refused(space: NetSpace, code: int, said: str, *words: str) -> None:
    """One line, the exit code, nothing on stdout, and the bus as it was."""
    before = space.run("sh", "-c", "cat /sys/bus/pci/devices/*/driver_override /sys/bus/pci/drivers/*/*bind")
    done = space.zcframe("nic", *words)
    assert (done.returncode, done.stdout) == (code, ""), done
    (line,) = done.stderr.splitlines()
    assert said in line
    assert space.run("sh", "-c", "cat /sys/bus/pci/devices/*/driver_override /sys/bus/pci/drivers/*/*bind") == before


@pytest.mark.parametrize(
    "words", ["route add default dev v0", "-6 route add default dev v0", "route add default dev v0 table 7"]
)
@pytest.mark.parametrize("verb", ["bind", "unbind"])
def test_the_card_of_the_default_route_is_not_taken(card_space: NetSpace, words: str, verb: str) -> None:
    if verb == "unbind":
        card_space.run("sh", "-c", f"echo igb > /sys/bus/pci/devices/{CARD}/driver_override")
    card_space.run("ip", *words.split())
    refused(card_space, 1, f"{CARD}: v0 carries this machine's default route", verb, CARD)


def test_the_card_is_listed(card_space: NetSpace) -> None:
    card_space.run("ip", "route", "add", "default", "dev", "v0")
    done = card_space.zcframe("nic", "list")
    row = next(line for line in done.stdout.splitlines() if line.startswith(CARD))
    assert re.split(r" {2,}", row) == [
        CARD, "8086:10c9", "Intel 82576 Gigabit", "igb", "v0", "link", "default route, for zc82576",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("", 2, "zcframe nic needs a verb: list, bind, unbind, status"),
        ("bnd", 2, "no verb 'bnd': did you mean bind?"),
        ("list more", 2, "unexpected argument 'more'"),
        ("list --jsn", 2, "there is no option --jsn: did you mean --json?"),
        ("bind", 2, "required: PCI"),
        ("bind eth0", 2, "'eth0' is no PCI address"),
        ("bind 02:00.1", 2, f"there is no PCI function 0000:02:00.1: did you mean {CARD}?"),
        ("bind 02:00.0 --driver ../igb", 2, "'../igb' is no name of a driver"),
        ("bind 02:00.0 --driver ixgbe", 1, "the driver ixgbe is not loaded: modprobe ixgbe"),
        ("bind 02:00.0 --force", 2, "there is no option --force"),
        ("unbind 9:9", 2, "'9:9' is no PCI address"),
        ("status nothere0", 1, "no interface 'nothere0': v0"),
        ("status 03:00.0", 2, "there is no PCI function 0000:03:00.0"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(card_space: NetSpace, words: str, code: int, said: str) -> None:
    refused(card_space, code, said, *words.split())


def test_a_kernel_that_does_nothing_is_found_out_and_undone(card_space: NetSpace) -> None:
    """The made-up tree takes every write, and no driver takes the card."""
    done = card_space.zcframe("nic", "bind", CARD)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"zcframe: zc82576 did not take {CARD}, which is as it was: dmesg tells why\n"
    assert card_space.run("cat", f"/sys/bus/pci/devices/{CARD}/driver_override") == ""
