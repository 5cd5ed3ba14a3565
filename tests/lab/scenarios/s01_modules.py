"""Modules come and go; what is in use stays; a taken family is refused."""

from __future__ import annotations

from ..bench import IFACE, Bench, expect
from ..choice import EVERYWHERE

TITLE = "load, unload, load; taken family; rmmod refused while in use"
# It meets what kernels changed.
ROLES = EVERYWHERE


def inspect(bench: Bench) -> None:
    """What ethtool shows, and what it changes, on an interface that is down."""
    ask = bench.guest.run
    expect("queues", ask(f"ethtool -l {IFACE} | grep -c 'Combined:.*8$'"), "2")
    expect("ring", "4096" in ask(f"ethtool -g {IFACE}"), True)
    ask(f"ethtool -X {IFACE} equal 4")
    table = ask(f"ethtool -x {IFACE}")
    expect("table", ("  120:" in table, " 3" in table, " 4\n" in table), (True, True, False))
    ask(f"ethtool -N {IFACE} rx-flow-hash udp4 sdfn")
    expect("ports of UDP", "L4 bytes 2 & 3" in ask(f"ethtool -n {IFACE} rx-flow-hash udp4"), True)
    expect("counters", ask(f"ethtool -S {IFACE} | grep -c q7_"), "6")
    expect("queue 8 refused", bench.guest.attempt(f"ethtool -X {IFACE} weight 0 0 0 0 0 0 0 0 1")[0] != 0, True)
    expect("odd ring refused", bench.guest.attempt(f"ethtool -G {IFACE} rx 100")[0] != 0, True)
    expect("jumbo refused", bench.guest.attempt(f"ip link set {IFACE} mtu 9000")[0] != 0, True)


def run(bench: Bench) -> str:
    guest = bench.guest
    for _ in range(3):
        bench.load()
        bench.unload()
    code, text = guest.attempt("insmod /bin/pf_zerocopy.ko family=2")
    expect("family 2 refused", (code != 0, "resource busy" in text), (True, True))
    guest.run("insmod /bin/pf_zerocopy.ko family=22")
    expect("parameter", guest.run("cat /sys/module/pf_zerocopy/parameters/family"), "22")
    guest.run("insmod /bin/zc82576.ko")
    expect("family in use by the driver", guest.attempt("rmmod pf_zerocopy")[0] != 0, True)
    expect("driver", "driver: zc82576" in guest.run(f"ethtool -i {IFACE}"), True)
    inspect(bench)
    guest.run(f"holder {IFACE} & sleep 0.5")
    expect("driver with a bound socket", guest.attempt("rmmod zc82576")[0] != 0, True)
    expect("memshare", IFACE in guest.run("cat /proc/memshare"), True)
    expect("rings in /proc/net/zerocopy", guest.run("grep -c zc0 /proc/net/zerocopy"), "1")
    guest.run("killall holder; sleep 0.3")
    bench.unload()
    return "5 loads, 3 refusals"
