"""ethtool changes the card's settings while frames come: none is lost, and nothing bound is taken away."""

from __future__ import annotations

from ..bench import IFACE, KEY, Bench, check_exact, check_right, expect
from ..choice import EVERYWHERE

TITLE = "ethtool -L, -C, -X under traffic; queues that are bound stay"
# It meets what kernels changed.
ROLES = EVERYWHERE

FRAMES = 20_000
AFTER = 5_000
ROUNDS = 3
# With the card's ring, room for all that a queue gets, whatever holds up its reader.
SLOTS = 8192


def under_traffic(bench: Bench) -> None:
    """What may be changed while eight readers read: each setting takes hold, and each frame arrives."""
    ask = bench.guest.run
    bench.reader(FRAMES, slots=SLOTS)
    sender = bench.sender(0, FRAMES, 0, 4000)
    for _ in range(ROUNDS):
        ask(f"ethtool -C {IFACE} rx-usecs 100")
        expect("rx-usecs", ask(f"ethtool -c {IFACE} | grep -w rx-usecs:").split()[1], "100")
        ask(f"ethtool -X {IFACE} equal 8; ethtool -X {IFACE} hkey {KEY}")
        ask(f"ethtool -C {IFACE} rx-usecs 0")
        code, _ = bench.guest.attempt(f"ethtool -L {IFACE} combined 4")
        expect("queues that are bound stay", code != 0, True)
    bench.sent(sender)
    check_exact(bench.report(), FRAMES)


def channels_under_traffic(bench: Bench) -> int:
    """Four readers, and four queues more that come and go: what goes there is lost, and nothing after they are gone."""
    ask = bench.guest.run
    ask(f"ethtool -X {IFACE} default; ethtool -L {IFACE} combined 4; dmesg -c > /dev/null")
    bench.reader(FRAMES + AFTER, queues=4, slots=SLOTS)
    sender = bench.sender(0, FRAMES, 0, 4000)
    for count in (8, 4) * ROUNDS:
        ask(f"ethtool -L {IFACE} combined {count}; sleep 0.2")
    expect("queues that are bound stay", bench.guest.attempt(f"ethtool -L {IFACE} combined 2")[0] != 0, True)
    expect("the log says why", "2 channels: queue 2 is bound" in ask("dmesg"), True)
    bench.sent(sender)
    bench.send(FRAMES, AFTER)
    found = bench.report()
    check_right(found)
    expect("frames after the last change are all there", found["last_missing"] < FRAMES, True)
    expect("frames", found["frames"] + found["missing"], FRAMES + AFTER)
    ask(f"ethtool -L {IFACE} combined 8")
    return int(found["missing"])


def channels(bench: Bench) -> None:
    """Fewer queues: the table follows, rings beyond them are refused; a table that somebody set is kept."""
    guest = bench.guest
    guest.run(f"ethtool -X {IFACE} default; ethtool -L {IFACE} combined 4")
    table = guest.run(f"ethtool -x {IFACE}")
    expect("the table follows", (" 3" in table, " 4\n" in table), (True, False))
    expect("ring of queue 4", guest.attempt(f"holder {IFACE} 5")[0] != 0, True)
    guest.run(f"ethtool -X {IFACE} weight 0 0 0 1")
    expect("a queue that the table names", guest.attempt(f"ethtool -L {IFACE} combined 2")[0] != 0, True)
    guest.run(f"ethtool -X {IFACE} default; ethtool -L {IFACE} combined 8")
    for refused in ("-L {} combined 0", "-L {} combined 9", "-L {} rx 4", "-C {} rx-usecs 8192", "-C {} tx-usecs 9"):
        expect(refused, guest.attempt(f"ethtool {refused.format(IFACE)}")[0] != 0, True)


def run(bench: Bench) -> str:
    bench.load()
    expect("ABI", bench.guest.run("cat /sys/module/pf_zerocopy/parameters/abi"), "1")
    channels(bench)
    bench.guest.run(f"ethtool -G {IFACE} rx 4096")
    bench.up()
    under_traffic(bench)
    lost = channels_under_traffic(bench)
    bench.unload()
    return (
        f"{FRAMES} frames, {ROUNDS * 5} changes and refusals meanwhile, none lost; {lost} of {FRAMES} went to queues"
        f" that nobody read, 0 of {AFTER} after they were gone"
    )
