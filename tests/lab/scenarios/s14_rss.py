"""RSS of a real NIC by the command, against ethtool: shown, set, proved symmetric, put back, also after a kill -9."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

from ..bench import IFACE, KEY, Bench, expect
from ..choice import NEWEST
from ..hosttree import ALIVE, PID, PLUGINS, TRACE, Tree, load_drivers
from ..packages import LabError
from .s03_run import frames, hashed_alike
from .s17_igb import IGB, XDP, start

TITLE = "zcframe rss and run --tune against ethtool, put back after kill -9 of the supervisor"
# It shows the command, which hangs on no kernel.
ROLES = (NEWEST,)

SYMMETRIC = ":".join(["6d", "5a"] * 20)
# A key as ethtool prints it.
TOLD = re.compile(r"(?:[0-9a-f]{2}:){39}[0-9a-f]{2}")
FLOWS = ("tcp4", "udp4", "tcp6", "udp6")
QUEUES = 4
# The plan of --tune, made and undone on any interface, with what ethtool says in between; the guest's shell takes a line.
TUNE = "; ".join(
    [
        "import subprocess",
        "from zcframe.affinity import plan_tuning",
        "from zcframe.framework.nic import hold",
        f"changes = plan_tuning('{IGB}', (0, 1), everything=True).changes",
        f"holding = hold('{IGB}')",
        "print('refused', holding.change_all({change.name: change.after for change in changes}))",
        f"print(subprocess.run(['/usr/sbin/ethtool', '-c', '{IGB}'], capture_output=True, text=True).stdout)",
        "holding.undo()",
    ]
)


class Command:
    """The command in the guest."""

    def __init__(self, bench: Bench, tree: Tree) -> None:
        self._bench, self.tree = bench, tree

    def script(self, text: str) -> str:
        return self._bench.guest.run(self.tree.line("-c", text))

    def rss(self, *words: object) -> str:
        return self._bench.guest.run(self.tree.line("rss", *words))

    def refused(self, *words: object) -> str:
        """What it says where it fails, in one line."""
        code, text = self._bench.guest.attempt(f"{self.tree.line('rss', *words)} 2>&1")
        expect(f"exit code of rss {words}", code, 1)
        expect(f"lines of rss {words}: {text}", len(text.splitlines()), 1)
        return text


def has(text: str, *words: str) -> None:
    for word in words:
        if word not in text:
            raise LabError(f"{word!r} is not in: {text}")


def card(bench: Bench, ifname: str = IFACE) -> str:
    """All that may be changed, as other programs tell it."""
    net = f"/sys/class/net/{ifname}"
    commands = [
        f"ethtool -x {ifname}",
        *(f"ethtool -n {ifname} rx-flow-hash {flow}" for flow in FLOWS),
        *(f"ethtool -{letter} {ifname} 2>&1" for letter in "glc"),
        f"grep . {net}/threaded {net}/napi_defer_hard_irqs {net}/gro_flush_timeout {net}/queues/*/?ps_cpus 2>/dev/null",
        "grep . /proc/irq/*/smp_affinity_list",
        f"ip link show {ifname} | head -n 1",
    ]
    return bench.guest.run(f"({'; '.join(commands)}); true")


def same(name: str, found: str, wanted: str) -> None:
    """The lines that differ are told."""
    changed = [line for line in difflib.ndiff(wanted.splitlines(), found.splitlines()) if line[0] in "+-"]
    expect(name, changed, [])


def table(shown: str) -> list[int]:
    """The queues of `ethtool -x`."""
    rows = re.findall(r"^\s*\d+:((?:\s+\d+)+)$", shown, re.MULTILINE)
    return [int(queue) for row in rows for queue in row.split()]


def check_shown(bench: Bench, command: Command) -> None:
    found: dict[str, Any] = json.loads(command.rss("show", IFACE, "--json"))
    shown = bench.guest.run(f"ethtool -x {IFACE}")
    expect("key", found["rss"]["key"], KEY.replace(":", ""))
    expect("table", found["rss"]["reta"], table(shown))
    expect("symmetry", found["symmetry"]["finding"], "asymmetric")


def check_set(bench: Bench, command: Command) -> None:
    before = card(bench)
    command.rss("set", IFACE, "--key", "symmetric", "--reta", "0,1,3", "--fields", "ip-pair", "--rings", 1024)
    shown = bench.guest.run(f"ethtool -x {IFACE}")
    has(shown, SYMMETRIC)
    expect("table", table(shown), [(0, 1, 3)[n % 3] for n in range(128)])
    for flow in FLOWS:
        expect(f"ports of {flow}", "L4 bytes" in bench.guest.run(f"ethtool -n {IFACE} rx-flow-hash {flow}"), False)
    has(bench.guest.run(f"ethtool -g {IFACE} | tail -n +7"), "RX:\t\t1024")
    has(command.rss("symmetric", IFACE), "symmetric: proved from the settings read back", "udp-ipv6", "not compared")
    has(bench.guest.run(f"ethtool -n {IFACE} rx-flow-hash udp6"), "L4 bytes 2 & 3")
    expect("table", table(bench.guest.run(f"ethtool -x {IFACE}")), [n % 8 for n in range(128)])
    has(command.rss("restore"), f"{IFACE}: put back what was changed by zcframe rss set")
    same("the card after restore", card(bench), before)
    has(command.refused("set", IFACE, "--rings", 8192), "the driver allows 4096")
    same("the card after a refusal", card(bench), before)


def start_run(bench: Bench, tree: Tree) -> None:
    """Until it has noted, in the state file, the last of what it changes."""
    tree.start("run", "--iface", IFACE, "--queues", QUEUES, "--json", "--tune", *PLUGINS)
    noted = f'grep -q "\\"pid\\": $(cat {PID}),.*gro_flush_timeout" /host/run/zcframe/{IFACE}.json 2> /dev/null'
    bench.until(f"{noted} || ! {ALIVE}")
    has(bench.guest.run(f"ethtool -x {IFACE}"), SYMMETRIC)


def interrupt_cpus(bench: Bench, queue: int) -> str:
    irq = bench.guest.run(f"sed -n 's/^ *\\([0-9]*\\):.*{IFACE}-rxtx-{queue}$/\\1/p' /proc/interrupts")
    return bench.guest.run(f"cat /proc/irq/{irq}/smp_affinity_list")


def check_plan(bench: Bench, command: Command) -> None:
    """`--check` changes nothing, not even the link."""
    before = card(bench)
    line = command.tree.line("run", "--iface", IFACE, "--queues", QUEUES, "--tune", "--check", *PLUGINS)
    has(bench.guest.run(line), "tune     ", f"/sys/class/net/{IFACE}/gro_flush_timeout: 0 -> ")
    same("the card after --check", card(bench), before)


def check_killed(bench: Bench, command: Command) -> None:
    """Twice: a killed run is undone by restore, and by the next run, which is undone by its own end."""
    before, tree = card(bench), command.tree
    start_run(bench, tree)
    expect("CPU of the interrupt of queue 2", interrupt_cpus(bench, 2), "2")
    has(command.refused("set", IFACE, "--queues", 2), "held by another run, pid")
    has(tree.end("KILL")[2], f"tune: /sys/class/net/{IFACE}/gro_flush_timeout: 0 -> ")
    expect("the card keeps what the killed run set", card(bench) != before, True)
    has(command.rss("restore", IFACE), "by a run that was killed", "rss", "link")
    same("the card after restore", card(bench), before)
    start_run(bench, tree)
    tree.end("KILL")
    start_run(bench, tree)
    has(tree.end("TERM")[2], f"warning: {IFACE}: put back what was changed by a run that was killed (pid ")
    same("the card after a run", card(bench), before)
    has(command.rss("restore", IFACE), "nothing to put back")


def check_key(bench: Bench, command: Command, before: str) -> None:
    """igb of the newest kernels takes a key."""
    command.rss("symmetric", IGB)
    has(card(bench, IGB), SYMMETRIC)
    has(command.rss("restore"), "put back")
    bench.until(f"[ $(cat /sys/class/net/{IGB}/carrier) = 1 ]")
    same("igb after restore of its key", card(bench, IGB), before)


def check_igb(bench: Bench, command: Command) -> None:
    """What a user without our driver has: until 6.12 no key to set, and a line that says so."""
    load_drivers(bench, "igb")
    bench.guest.run(f"ip link set {IGB} up")
    bench.until(f"[ $(cat /sys/class/net/{IGB}/carrier) = 1 ]")
    before = card(bench, IGB)
    if TOLD.search(before):
        check_key(bench, command, before)
    else:
        has(command.refused("symmetric", IGB), f"the driver of {IGB} takes no RSS key (igb")
        has(command.rss("show", IGB), "cannot be proved: the driver does not tell its key")
    command.rss("set", IGB, "--queues", 2, "--channels", 2)
    expect("table of igb", table(bench.guest.run(f"ethtool -x {IGB}")), [n % 2 for n in range(128)])
    has(bench.guest.run(f"ethtool -l {IGB} | tail -n 1"), "2")
    has(command.rss("restore", IGB), "put back")
    bench.until(f"[ $(cat /sys/class/net/{IGB}/carrier) = 1 ]")
    same("igb after restore", card(bench, IGB), before)
    has(command.script(TUNE), "refused {}", "rx-usecs: 50")
    same("igb after tuning", card(bench, IGB), before)


def check_other_table(bench: Bench, tree: Tree, octets: list[bytes]) -> None:
    """A table that is not the one which was read before the start is noticed, and the run fails."""
    start(bench, tree, len(octets), ("--verify-rss", *XDP))
    bench.guest.run(f"ethtool -X {IGB} weight {' '.join(map(str, range(1, QUEUES + 1)))}")
    bench.send_all(octets)
    code, document, said = tree.end()
    expect(f"exit code with another table: {said}", code, 1)
    verified = json.loads(document)["rss"]["verified"]
    expect("frames in another queue", 0 < verified["wrong_queue"] < len(octets), True)
    if "by the card's settings it belongs to queue" not in said:
        raise LabError(f"the first wrong frame is not told: {said}")


def check_zc82576(bench: Bench, command: Command) -> None:
    # Brought up once: a driver has no interrupts before that.
    bench.load()
    bench.guest.run(f"ip link set {IFACE} down")
    check_shown(bench, command)
    check_set(bench, command)
    check_plan(bench, command)
    check_killed(bench, command)
    bench.unload()


def run(bench: Bench) -> str:
    octets = [frame for frame in frames(TRACE) if hashed_alike(frame)]
    command = Command(bench, Tree(bench))
    # As many as queues.
    with bench.guest.all_processors():
        check_zc82576(bench, command)
        check_igb(bench, command)
        check_other_table(bench, command.tree, octets[:2000])
        bench.guest.run("rmmod igb")
    done = "key, table, fields, rings, channels; two supervisors killed; igb takes a key, or refuses it in one line"
    return f"{done}; a table changed meanwhile is noticed"
