"""Keeps two books of one thing, with much to do between the two entries: a half packet would show."""

from __future__ import annotations

from typing import Any

from zcframe import PASS, Array, Param, State, plugin, u64


@plugin
class Ledgers:
    work = Param(200, "steps between the two entries", minimum=0)
    entries = Array(u64, 2)
    scratch = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.entries[0] += 1
        for step in range(params.work):
            state.scratch[0] = state.scratch[0] * 31 + step
        state.entries[1] += 1
        return PASS

    @staticmethod
    def merge(states: list[State]) -> State:
        """Shard by shard: a sum could hide one half by another."""
        states[0].__dict__["pairs"] = [state.entries.tolist() for state in states]
        return states[0]

    @staticmethod
    def report(merged: State) -> dict[str, Any]:
        return {"pairs": merged.__dict__["pairs"]}
