"""The ring readers in examples/: each prints every frame that was sent, byte for byte, with its hash and type."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..bench import IFACE, KEY, Bench, expect
from ..choice import NEWEST
from ..hosttree import TRACE, TREE, Tree
from ..packages import output
from .s03_run import frames, hashed_alike

TITLE = "the ring readers in examples/ print what was sent"
ROLES = (NEWEST,)

READERS = TREE / "examples" / "readers"
FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-static", "-I", TREE / "kernel" / "include" / "uapi")
# More than twice as many as the ring has slots, so slowly that Python in an emulated guest keeps up.
FRAMES = 2500
PAUSE_S = 2e-3


def compiled_reader(bench: Bench) -> Path:
    program = bench.own / "ring_reader"
    output("gcc", *FLAGS, "-o", program, READERS / "ring_reader.c")
    return program


def line(frame: bytes) -> str:
    """What a reader prints of a frame, without the time."""
    from zcframe.framework.rss.toeplitz import hash_frame

    kind, value = hash_frame(frame, bytes.fromhex(KEY.replace(":", "")), "5-tuple")
    return f"{len(frame)}/{len(frame)} {kind} {value:08x} {frame.hex()}\n"


def printed(bench: Bench, command: str, octets: list[bytes]) -> str:
    """Digest of the lines, without their times, that a reader prints of these frames."""
    guest = bench.guest
    guest.run(f"{command} {IFACE} 0 {len(octets)} > /tmp/lines 2>&1 & echo $! > /tmp/reader.pid")
    bench.until("grep -q 'reading queue 0' /tmp/lines", 60)
    bench.send_all(octets, PAUSE_S)
    code, _ = guest.attempt("wait $(cat /tmp/reader.pid)", 120)
    expect(f"{command}: exit code, lines", (code, guest.run("wc -l < /tmp/lines")), (0, str(len(octets) + 1)))
    return guest.run("tail -n +2 /tmp/lines | cut -d ' ' -f 2- | md5sum").split()[0]


def run(bench: Bench) -> str:
    octets = [frame for frame in frames(TRACE) if hashed_alike(frame)][:FRAMES]
    wanted = hashlib.md5("".join(map(line, octets)).encode()).hexdigest()
    tree, program = Tree(bench), compiled_reader(bench)
    bench.load()
    fields = f"for n in 4 6; do ethtool -N {IFACE} rx-flow-hash udp$n sdfn; done"
    bench.guest.run(f"ethtool -X {IFACE} weight 1; {fields}")
    expect("lines of ring_reader.c", printed(bench, f"/host{program}", octets), wanted)
    expect("lines of ring_reader.py", printed(bench, tree.python(READERS / "ring_reader.py"), octets), wanted)
    bench.unload()
    return f"{len(octets)} frames by each, C and Python"
