"""zcframe nic and doctor in the guest: the card goes from igb to zc82576 and back, by a kernel that we did not write."""

from __future__ import annotations

import json
import re
from typing import Any

from ..bench import IFACE, Bench, expect
from ..choice import NEWEST
from ..hosttree import Tree, load_drivers
from ..packages import LabError

TITLE = "zcframe nic bind and unbind between igb and zc82576, nic status and doctor against ethtool and /proc"
# It shows the command, which hangs on no kernel.
ROLES = (NEWEST,)

ID = "8086:10c9"
IGB = "eth0"
QUEUES = 8


class Card:
    """The emulated 82576, as the command and as sysfs show it."""

    def __init__(self, bench: Bench, tree: Tree) -> None:
        self._bench, self._tree = bench, tree
        (self.address,) = (one["address"] for one in self.json("nic", "list")["controllers"] if one["id"] == ID)

    def say(self, *words: object) -> str:
        return self._bench.guest.run(self._tree.line(*words))

    def json(self, *words: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.say(*words, "--json"))
        return found

    def refused(self, said: str, *words: object) -> None:
        """One line, exit code 1, and the card as it was."""
        before = self.held()
        code, text = self._bench.guest.attempt(f"{self._tree.line(*words)} 2>&1")
        if code != 1 or said not in text or len(text.splitlines()) != 1:
            raise LabError(f"{words}: exit code {code}: {text}")
        expect("the card after a refusal", self.held(), before)

    def held(self) -> tuple[str, str]:
        """(driver, override), by sysfs; the kernel writes (null) for none."""
        folder = f"/sys/bus/pci/devices/{self.address}"
        driver = self._bench.guest.run(f"readlink {folder}/driver || true")
        return driver.rpartition("/")[2], self._bench.guest.run(f"cat {folder}/driver_override")

    def listed(self) -> dict[str, Any]:
        (found,) = (one for one in self.json("nic", "list")["controllers"] if one["id"] == ID)
        return found  # type: ignore[no-any-return]  # of a document


def check_bind(bench: Bench, card: Card) -> None:
    expect("at first", card.held(), ("igb", "(null)"))
    card.refused("zc82576 is not loaded: make kernel", "nic", "bind", card.address)
    bench.guest.run("insmod /bin/pf_zerocopy.ko && insmod /bin/zc82576.ko")
    # It is there for the filesystem of this guest, takes any card that it is forced to, and then finds no virtio in it.
    card.refused("virtio-pci did not take", "nic", "bind", card.address, "--driver", "virtio-pci")
    said = card.say("nic", "bind", card.address)
    expect("after bind", card.held(), ("zc82576", "zc82576"))
    expect("the undo", said.splitlines()[-1], f"undo: zcframe nic unbind {card.address}")
    found = card.listed()
    expect("driver", (found["driver"], found["override"], found["zc82576"]), ("zc82576", "zc82576", True))
    expect("interface", [port["name"] for port in found["interfaces"]], [IFACE])


def check_unbind(bench: Bench, card: Card) -> None:
    bench.guest.run(f"ip route add default dev {IFACE}")
    card.refused(f"{IFACE} carries this machine's default route", "nic", "unbind", card.address)
    bench.guest.run(f"ip route del default dev {IFACE}")
    said = card.say("nic", "unbind", card.address)
    expect("after unbind", card.held(), ("igb", "(null)"))
    expect("the undo", said.splitlines()[-1], f"undo: zcframe nic bind {card.address} --driver zc82576")
    expect("interface", [port["name"] for port in card.listed()["interfaces"]], [IGB])


def rings_of_ethtool(shown: str) -> list[tuple[str, int]]:
    """RX and TX, first the limits, then what is in force."""
    return [(name, int(count)) for name, count in re.findall(r"^(RX|TX):\s+(\d+)$", shown, re.MULTILINE)]


def check_status(bench: Bench, card: Card) -> None:
    """With a program that holds all queues."""
    bench.up()
    bench.background(f"holder {IFACE} {QUEUES}", "holder")
    (found,) = card.json("nic", "status", IFACE)["interfaces"]
    rings = found["rings"]
    shown = [("RX", rings["max_rx"]), ("TX", rings["max_tx"]), ("RX", rings["rx"]), ("TX", rings["tx"])]
    expect("rings", shown, rings_of_ethtool(bench.guest.run(f"ethtool -g {IFACE}")))
    expect("channels", found["channels"]["combined"], QUEUES)
    expect("card", found["pci"], {"address": card.address, "id": ID})
    for row in found["interrupts"]:
        name = bench.guest.run(f"grep '^ *{row['irq']}:' /proc/interrupts").split()[-1]
        expect("interrupt", name, f"{IFACE}-rxtx-{row['queue']}")
        expect("CPUs", row["cpus"], bench.guest.run(f"cat /proc/irq/{row['irq']}/smp_affinity_list"))
    expect("interrupts", len(found["interrupts"]), QUEUES)
    told = [line.split() for line in bench.guest.run("cat /proc/memshare").splitlines()[1:]]
    wanted = sorted((row[0], int(row[1]), row[2], int(row[3]), row[5]) for row in told)
    names = ("ifname", "queue", "direction", "slots", "state")
    expect("rings", [tuple(row[name] for name in names) for row in found["shared_rings"]], wanted)
    expect("number of rings", len(wanted), QUEUES)
    bench.guest.run("kill -9 $(cat /tmp/holder.pid)")
    bench.until("[ $(wc -l < /proc/memshare) = 1 ]")


def check_counters(bench: Bench, card: Card) -> None:
    """Frames that nobody reads: as many wait as were sent, in /proc and in the command's words."""
    bench.background(f"holder {IFACE} {QUEUES}", "holder")
    bench.send(0, 100)
    bench.until("[ $(awk 'NR > 1 { n += $8 } END { print n }' /proc/memshare) = 100 ]")
    (found,) = card.json("nic", "status", card.address)["interfaces"]
    rings = found["shared_rings"]
    expect("arrived", sum(ring["arrived"] for ring in rings), 100)
    expect("waiting", [ring["waiting"] for ring in rings], [ring["arrived"] for ring in rings])
    expect("queues", [ring["queue"] for ring in rings], list(range(QUEUES)))
    bench.guest.run("kill -9 $(cat /tmp/holder.pid)")
    bench.until("[ $(wc -l < /proc/memshare) = 1 ]")


def check_doctor(card: Card, ifname: str, backend: str) -> None:
    checks = {check["name"]: check for check in card.json("doctor", "--iface", ifname)["checks"]}
    expect("verdict", checks["capture"]["text"].partition(";")[0], f"zcframe run --iface {ifname} uses {backend}")
    expect("abi", checks["abi"]["state"], "ok" if backend == "zerocopy" else "none")
    bound = "zc82576 drives" if backend == "zerocopy" else f"{card.address} is an 82576, igb drives it"
    expect("card", checks["card"]["text"].startswith(bound), True)


def run(bench: Bench) -> str:
    load_drivers(bench, "igb")
    bench.guest.run(f"ip link set {IGB} up")
    card = Card(bench, Tree(bench))
    check_doctor(card, IGB, "packet")
    check_bind(bench, card)
    check_status(bench, card)
    check_counters(bench, card)
    check_doctor(card, IFACE, "zerocopy")
    check_unbind(bench, card)
    bench.unload()
    bench.guest.run("rmmod igb")
    return "bound, given back, forced and refused; rings, interrupts and counters as ethtool and /proc have them"
