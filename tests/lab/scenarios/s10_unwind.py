"""Every call that fails leaves nothing behind."""

from __future__ import annotations

from ..bench import IFACE, Bench, expect

TITLE = "failed registrations and binds unwind"


def run(bench: Bench) -> str:
    bench.load(up=False)
    code, text = bench.guest.attempt(f"unwind {IFACE}")
    expect("unwind", (code, text), (0, "good"))
    expect("pinned pages", bench.pinned(), 0)
    bench.unload()
    return "ring, buffer, bind, stats"
