"""recv() and send() of programs that know no rings, and the transmit ring: byte-exact on the other side."""

from __future__ import annotations

import subprocess

from ..bench import IFACE, Bench, expect
from ..choice import EVERYWHERE

TITLE = "plain recv and send; transmit ring"
# It meets what kernels changed.
ROLES = EVERYWHERE

FRAMES = 5000


def receive(bench: Bench, command: str) -> None:
    """What `command` sends has to come out of the wire: frames 0..FRAMES-1, each right."""
    host = [str(part) for part in (bench.host["receiver"], bench.guest.from_guest, FRAMES, 0)]
    with subprocess.Popen(host, text=True, stdout=subprocess.PIPE) as receiver:
        assert receiver.stdout is not None
        expect("receiver", receiver.stdout.readline(), "READY\n")
        bench.guest.run(command)
        said = receiver.stdout.read().strip()
    expect("frames that came out", said, str(FRAMES))


def run(bench: Bench) -> str:
    bench.load()
    bench.guest.run(f"ethtool -X {IFACE} hkey {'00:' * 39}00 weight 1")
    bench.guest.begin(f"plain {IFACE} {FRAMES} 0")
    bench.guest.expect("READY")
    bench.send(0, FRAMES, rate=5000)
    code, text = bench.guest.end()
    expect("plain recv", (code, text.splitlines()[-1]), (0, "good"))
    receive(bench, f"transmit {IFACE} 0 {FRAMES} 0 plain")
    for queue in (0, 7):
        receive(bench, f"transmit {IFACE} {queue} {FRAMES} 0 ring")
    bench.unload()
    return f"{FRAMES} received, {FRAMES} sent, {2 * FRAMES} sent without a copy"
