"""Write frames of 60 bytes into a TAP, as they come: python -m benchmarks.live.write IFACE SECONDS

The kernel receives each within the write, on the writer's CPU. Prints how many frames that were and the seconds that it
took, as JSON.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import struct
import sys
import time

from .offer import FRAME, SOURCE_LOW, SOURCE_PORT

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x2, 0x1000
FLOWS = 4096
LOT = 256


def _frames() -> list[bytes]:
    """One of each flow, in no order."""
    made = []
    for number in random.Random(1).sample(range(1 << 16), FLOWS):
        frame, flow = bytearray(FRAME), struct.pack("<H", number)
        frame[SOURCE_LOW : SOURCE_LOW + 2] = frame[SOURCE_PORT : SOURCE_PORT + 2] = flow
        made.append(bytes(frame))
    return made


def write(iface: str, seconds: float) -> dict[str, float]:
    """Write into TAP `iface` for so long; returns frames and seconds."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", iface.encode(), IFF_TAP | IFF_NO_PI))
    frames, count, start = _frames(), 0, time.monotonic()
    while time.monotonic() < start + seconds:
        for place in range(count % FLOWS, count % FLOWS + LOT):
            os.write(fd, frames[place])
        count += LOT
    return {"frames": count, "seconds": time.monotonic() - start}


if __name__ == "__main__":
    print(json.dumps(write(sys.argv[1], float(sys.argv[2]))))
