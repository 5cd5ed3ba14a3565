"""Frames as they were on the wire: tags stay where they are, the longest is whole, and what is longer is refused."""

from __future__ import annotations

from ..bench import IFACE, Bench, expect

TITLE = "VLAN tags in the frame; frames too long for a block refused"

QUIET_MS = 3000
ADDRESSES = bytes.fromhex("02fe0000000102000000000a")
# An ethertype for experiments: nothing that a card would hash or check.
OTHER = "88b5"
# Ethertypes and tags before the payload; frame's length without FCS.
GOOD = (
    (OTHER, 60),
    ("81002064" + OTHER, 64),
    ("8100e000" + OTHER, 64),
    ("88a8000a81000014" + OTHER, 68),
    (OTHER, 1514),
    ("81000fff" + OTHER, 1518),
)
TOO_LONG = ((OTHER, 1519), ("81000064" + OTHER, 1523), (OTHER, 2048), (OTHER, 2049), (OTHER, 4096), (OTHER, 9018))


def frame(tags: str, length: int) -> bytes:
    """Addresses, these tags, and a payload in which every place and every length looks different."""
    head = ADDRESSES + bytes.fromhex(tags)
    return head + bytes((n * 7 + length) & 255 for n in range(length - len(head)))


def receive(bench: Bench, frames: list[bytes], count: int) -> list[str]:
    """What came of these, at most `count`: status, stripped tag, length on the wire, and the bytes."""
    bench.guest.begin(f"dump {IFACE} {count} {QUIET_MS * bench.kernel.patience}")
    bench.guest.expect("READY")
    bench.send_all(frames)
    code, text = bench.guest.end()
    expect("dump", code, 0)
    return text.splitlines()


def run(bench: Bench) -> str:
    bench.load()
    bench.guest.run(f"ethtool -X {IFACE} weight 1")
    good = [frame(*shape) for shape in GOOD]
    # Each that is refused stands before one that has to come out whole.
    mixed = [one for pair in zip((frame(*shape) for shape in TOO_LONG), good, strict=True) for one in pair]
    found = receive(bench, mixed, len(mixed))
    expect("bytes of each on the wire", [int(line.split()[2]) for line in found], [len(one) for one in good])
    for line, one in zip(found, good, strict=True):
        expect(f"status, stripped tag and bytes of the frame of {len(one)} B", line, f"0 0 {len(one)} {one.hex()}")
    code, said = bench.guest.attempt(f"ip link set {IFACE} mtu 1501 2>&1")
    expect(f"MTU of 1501: {said}", code != 0, True)
    bench.unload()
    return f"{len(good)} frames to {max(map(len, good))} B whole with their tags; {len(TOO_LONG)} longer ones refused"
