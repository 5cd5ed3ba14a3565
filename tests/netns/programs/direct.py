"""The packet source without a supervisor, in a namespace with the veth near and far: prints what it says and describes.

First near goes down and up again; then three frames are sent and the source is stopped at once; a worker fetches frames
until the end is told. Then near goes away for good.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
from typing import Any

from zcframe.framework import abi
from zcframe.framework.ring import RingEnd
from zcframe.framework.rss import RssConfig
from zcframe.framework.sources.packet.source import Packet
from zcframe.framework.sources.plan import LivePlan

MACS = b"\x02" * 12
FRAMES = [MACS + b"\x88\xb5" + bytes(46), MACS + b"\x81\x00\x60\x05\x88\xb5" + bytes(86)]
FRAMES += [MACS + b"\x88\xa8\x00\x07\x81\x00\x00\x08\x88\xb5" + bytes(86)]


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


def hear(source: Packet) -> list[str]:
    """What the source says as soon as it says something."""
    while True:
        select.select([source.events_fd], [], [])
        told = [event.text for event in source.poll_events()]
        if told:
            return told


def is_quiet(source: Packet, end: RingEnd) -> bool:
    """Whether neither the supervisor nor a worker is woken for nothing, once the kernel has said all of the link."""
    poller = select.poll()
    poller.register(end.poll_fd, select.POLLIN)
    # It may add something a second later; a source that wakes for nothing never is quiet.
    for _ in range(20):
        while source.poll_events():
            pass
        if not select.select([source.events_fd], [], [], 0.1)[0] and not poller.poll(0):
            return True
    return False


def send() -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.bind(("far", 0))
        for frame in FRAMES:
            sender.send(frame)


def described(end: RingEnd) -> list[dict[str, int]]:
    rows = end._mappings[0].view(abi.DESC, abi.PAGE_SIZE, int(end.header["write"][0]))
    return [{name: int(row[name]) for name in row.dtype.names or ()} for row in rows]


def main() -> dict[str, Any]:
    rss = RssConfig.make("symmetric", "5-tuple", 1)
    source = Packet(LivePlan("packet", "near", rss, queues=1, ring_slots=64, first=2, port=3))
    source.start()
    source.ready()
    (ring,) = source.rings
    end = ring.consumer()
    source.go()
    ip("link set near down")
    told = hear(source)
    quiet = is_quiet(source, end)
    ip("link set near up")
    told += hear(source)
    assert end.pull is not None
    send()
    # A busy kernel may pass them on only after the order to stop, which shuts the gate.
    while int(end.header["write"][0]) < len(FRAMES):
        end.pull()
    source.stop()
    ended: list[str] = []
    while not ended:
        select.select([source.events_fd], [], [], 0.001)
        ended = [event.text for event in source.poll_events()]
        if not ended:
            end.pull()
    found = {"told": told, "quiet": quiet, "ended": ended, "domain": ring.domain, "described": described(end)}
    source.close()
    return found


print(json.dumps(main()))
