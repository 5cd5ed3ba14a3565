"""A TAP with several queues, into which frames are written as RSS would spread them; arguments: NAME QUEUES FILE.

Says "ready" once it is up; sends the file at the first line of stdin, says "sent", and ends when stdin is closed.
Imports no zcframe.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from pathlib import Path

from tests.kit import reference

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_MULTI_QUEUE = 0x2, 0x1000, 0x100


def open_queue(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE))
    return fd


def main(name: str, queues: int, file: str) -> None:
    fds = [open_queue(name) for _ in range(queues)]
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    frames = [packet.frame for packet in reference.read(Path(file)).packets]
    places = [reference.queue_of(frame, reference.SYMMETRIC, "5-tuple", queues) for frame in frames]
    print("ready", flush=True)
    for _ in sys.stdin:
        for frame, queue in zip(frames, places, strict=True):
            os.write(fds[queue], frame)
        print("sent", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
