"""Prints, frame by frame, what an interface's driver told of the frames that came on it: records.py IFACE COUNT

Flags, time, hash, what was hashed, type and number of the tag, as they stand in front of the frame. Says "ready" before.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
import time

import numpy as np

from zcframe.framework import abi
from zcframe.framework.rss import RssConfig
from zcframe.framework.sources.plan import LivePlan
from zcframe.framework.sources.xdp import source as xdp

RECORD = struct.Struct("=QII2sHI")


def main(ifname: str, count: int) -> None:
    # As a card that has a clock and hashes by our key; nothing of it is counted here.
    xdp.stamps_frames = lambda _: True
    xdp.hashes_by = lambda *_: True
    source = xdp.Xdp(LivePlan("xdp", ifname, RssConfig.make("symmetric", "5-tuple", 1), queues=1))
    source.start()
    end = source.rings[0].consumer()
    source.go()
    print("ready", flush=True)
    deadline = time.monotonic() + 20
    while end.header["write"][0] < count and time.monotonic() < deadline:
        end.pull()
    descriptors = ctypes.string_at(end.desc_address, count * abi.DESC_SIZE)
    for offset in np.frombuffer(descriptors, abi.DESC)["offset"].tolist():
        octets = ctypes.string_at(end.block_address + offset - RECORD.size, RECORD.size)
        stamp, hashed, kind, tpid, tci, flags = RECORD.unpack(octets)
        print(json.dumps([flags, stamp, hashed, kind, tpid.hex(), tci]))
    source.close()


main(sys.argv[1], int(sys.argv[2]))
