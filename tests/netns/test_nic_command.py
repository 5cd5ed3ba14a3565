"""`zcframe nic` and `zcframe doctor` on real interfaces, in a namespace of their own, against ip, ethtool and sysfs."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .space import Space

pytestmark = pytest.mark.needs("root", "namespaces", "ethtool")

QUEUES = 4
CARD = "0000:02:00.0"
# What a machine with an 82576 shows. Its kernel is not there: files take every write.
CARD_TREE = {
    f"bus/pci/devices/{CARD}/vendor": "0x8086\n",
    f"bus/pci/devices/{CARD}/device": "0x10c9\n",
    f"bus/pci/devices/{CARD}/class": "0x020000\n",
    f"bus/pci/devices/{CARD}/driver_override": "(null)\n",
    "bus/pci/drivers/igb/bind": "",
    "bus/pci/drivers/igb/unbind": "",
    "bus/pci/drivers/zc82576/bind": "",
    "bus/pci/drivers_probe": "",
}
# What the kernel would tell of near if it were the card's interface; Python runs this when it starts.
CARD_LINK = f"""
from dataclasses import replace
from zcframe.framework.nic.cards import pci
links = pci.links
pci.links = lambda: [replace(link, parent="{CARD}", bus="pci") if link.name == "near" else link for link in links()]
"""


@pytest.fixture
def space(space: Space) -> Space:
    """With a veth in it, whose near end may have routes of IPv6."""
    space.veth(QUEUES)
    space.run("sysctl", "-qw", "net.ipv6.conf.near.disable_ipv6=0")
    return space


@pytest.fixture
def card_space(space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    """The same, with the card of CARD_TREE instead of what sysfs shows, and near as its interface."""
    for name, text in CARD_TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "bus/pci/devices" / CARD / "driver").symlink_to("../../drivers/igb")
    (tmp_path / "sitecustomize.py").write_text(CARD_LINK)
    space.run("mount", "--bind", tmp_path, "/sys")
    monkeypatch.setattr(space, "zcframe", partial(space.zcframe, launcher=["env", f"PYTHONPATH={tmp_path}"]))
    return space


def listed(space: Space) -> dict[str, dict[str, Any]]:
    """Virtual interfaces, by name."""
    found = space.zcframe("nic", "list", "--json").document
    return {port["name"]: port for port in found["virtual"]}


def status(space: Space, name: str) -> dict[str, Any]:
    document = space.zcframe("nic", "status", name, "--json").document
    (found,) = document["interfaces"]
    return found


def told_by_ip(space: Space) -> dict[str, tuple[bool, bool]]:
    """(up, has a link), by name."""
    links = json.loads(space.run("ip", "-j", "link"))
    return {link["ifname"]: ("UP" in link["flags"], "LOWER_UP" in link["flags"]) for link in links}


def channels_of_ethtool(text: str) -> dict[str, int]:
    """First the limits, then what is in force; n/a is none."""
    rows = re.findall(r"^(RX|TX|Other|Combined):\s+(\S+)$", text, re.MULTILINE)
    names = [f"max_{name.lower()}" for name, _ in rows[:4]] + [name.lower() for name, _ in rows[4:]]
    return {name: 0 if count == "n/a" else int(count) for name, (_, count) in zip(names, rows, strict=True)}


def check_list(space: Space) -> None:
    found = {name: (port["up"], port["linked"]) for name, port in listed(space).items()}
    assert found == told_by_ip(space)


def test_interfaces_are_those_of_ip(space: Space) -> None:
    check_list(space)
    assert told_by_ip(space)["near"] == (True, True)
    space.run("ip", "link", "set", "far", "down")
    check_list(space)
    assert told_by_ip(space)["near"] == (True, False)
    space.run("ip", "link", "set", "near", "down")
    check_list(space)
    assert listed(space)["near"]["up"] is False


def carriers(space: Space) -> set[str]:
    return {name for name, port in listed(space).items() if port["default_route"]}


@pytest.mark.parametrize(
    ("routes", "wanted"),
    [
        (
            [
                "route add 192.0.2.0/24 dev near",
                "-6 route add 2001:db8::/32 dev near",
                "-6 route add unreachable default",
            ],
            set(),
        ),
        (["route add default dev near"], {"near"}),
        (["-6 route add default dev near"], {"near"}),
        (["route add default dev near table 100"], {"near"}),
        (["nexthop add id 1 dev near", "route add default nhid 1"], {"near"}),
        (["route add default nexthop dev near weight 1 nexthop dev far weight 1"], {"near", "far"}),
        (["link add link near name m0 type macvlan", "link set m0 up", "route add default dev m0"], {"near", "m0"}),
        (
            ["link add br0 type bridge", "link set near master br0", "link set br0 up", "route add default dev br0"],
            {"near", "br0"},
        ),
    ],
)
def test_whatever_a_default_route_goes_by(space: Space, routes: list[str], wanted: set[str]) -> None:
    for words in routes:
        space.run("ip", *words.split())
    assert carriers(space) == wanted


def test_status_is_what_ethtool_says(space: Space) -> None:
    for queues in (QUEUES, 2):
        space.run("ethtool", "-L", "near", "rx", queues)
        found = status(space, "near")
        assert found["channels"] == channels_of_ethtool(space.run("ethtool", "-l", "near"))
        assert len(space.run("ls", "/sys/class/net/near/queues").split()) == found["channels"]["rx"] + QUEUES
    code = "from dataclasses import astuple; from zcframe.framework.nic.ethtool.driver import read_driver; print(*astuple(read_driver('near')), sep='|')"
    rows = dict(line.split(":", 1) for line in space.run("ethtool", "-i", "near").splitlines())
    wanted = [rows[name].strip() for name in ("driver", "version", "firmware-version", "bus-info")]
    assert space.run(sys.executable, "-c", code).split("|") == wanted
    assert found["driver"] == wanted[0] == "veth"
    # veth tells neither: one reader says so in JSON, the other in words.
    assert (found["rings"], found["rss"]) == (None, None)
    assert space.attempt("ethtool", "-g", "near").returncode != 0
    assert (found["pci"], found["interrupts"], found["shared_rings"]) == (None, [], [])


def test_status_is_one_screen(space: Space) -> None:
    done = space.zcframe("nic", "status", "near")
    assert done.stdout.splitlines() == [
        "interface near, up, link",
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

    from zcframe.framework.errors import NicError
    from zcframe.framework.nic import read_rings

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


def test_doctor_on_an_interface_is_what_ethtool_says(space: Space) -> None:
    for wanted in ("on", "off"):
        space.run("ethtool", "-K", "near", "gro", wanted)
        assert f"generic-receive-offload: {wanted}" in space.run("ethtool", "-k", "near")
        done = space.zcframe("doctor", "--iface", "near", "--json")
        checks = {check["name"]: check for check in done.document["checks"]}
        assert checks["gro"]["state"] == ("warn" if wanted == "on" else "ok")
        assert (done.code, checks["capture"]["text"]) == (0, "zcframe run --iface near uses packet")
    # What it says mends it does.
    space.run("ethtool", "-K", "near", "gro", "on")
    done = space.zcframe("doctor", "--iface", "near", "--json")
    (remedy,) = (check["remedy"] for check in done.document["checks"] if check["name"] == "gro")
    space.run("sh", "-c", remedy)
    assert "generic-receive-offload: off" in space.run("ethtool", "-k", "near")


@pytest.mark.parametrize("ifname", ["near", "lo"])
def test_the_verdict_is_what_a_run_does(space: Space, ifname: str) -> None:
    def verdict(*before: str) -> tuple[int, dict[str, Any]]:
        done = space.zcframe("doctor", "--iface", ifname, "--json", launcher=before)
        return done.code, done.document["checks"][-1]

    run = ["run", "--iface", ifname, "--queues", "1", "--check", "--json"]
    backend = space.zcframe(*run).document["source"]["backend"]
    assert verdict()[1]["text"] == f"zcframe run --iface {ifname} uses {backend}"
    without = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    code, check = verdict(*without)
    assert (code, check["state"]) == (1, "fail")
    failed = space.zcframe(*run, launcher=without)
    assert (failed.code, failed.stdout) == (1, "")
    assert "CAP_NET_RAW is missing" in failed.stderr
    assert "CAP_NET_RAW is missing" in check["text"]


def refused(space: Space, code: int, said: str, *words: str) -> None:
    """One line, the exit code, nothing on stdout, and the bus as it was."""
    before = space.run("sh", "-c", "cat /sys/bus/pci/devices/*/driver_override /sys/bus/pci/drivers/*/*bind")
    done = space.zcframe("nic", *words)
    assert (done.code, done.stdout) == (code, ""), done
    (line,) = done.stderr.splitlines()
    assert said in line
    assert space.run("sh", "-c", "cat /sys/bus/pci/devices/*/driver_override /sys/bus/pci/drivers/*/*bind") == before


@pytest.mark.parametrize(
    "words", ["route add default dev near", "-6 route add default dev near", "route add default dev near table 7"]
)
@pytest.mark.parametrize("verb", ["bind", "unbind"])
def test_the_card_of_the_default_route_is_not_taken(card_space: Space, words: str, verb: str) -> None:
    if verb == "unbind":
        card_space.run("sh", "-c", f"echo igb > /sys/bus/pci/devices/{CARD}/driver_override")
    card_space.run("ip", *words.split())
    refused(card_space, 1, f"{CARD}: near carries this machine's default route", verb, CARD)


def test_the_card_is_listed(card_space: Space) -> None:
    card_space.run("ip", "route", "add", "default", "dev", "near")
    done = card_space.zcframe("nic", "list")
    row = next(line for line in done.stdout.splitlines() if line.startswith(CARD))
    assert re.split(r" {2,}", row) == [
        CARD, "8086:10c9", "Intel 82576 Gigabit", "igb", "near", "link", "default route, for zc82576",
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
        ("status nothere0", 1, "no interface 'nothere0': far, lo, near"),
        ("status 03:00.0", 2, "there is no PCI function 0000:03:00.0"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(card_space: Space, words: str, code: int, said: str) -> None:
    refused(card_space, code, said, *words.split())


def test_a_kernel_that_does_nothing_is_found_out_and_undone(card_space: Space) -> None:
    """The made-up tree takes every write, and no driver takes the card."""
    done = card_space.zcframe("nic", "bind", CARD)
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr == f"zcframe: zc82576 did not take {CARD}, which is as it was: dmesg tells why\n"
    assert card_space.run("cat", f"/sys/bus/pci/devices/{CARD}/driver_override") == ""
