"""A prediction of RSS in text: what `zcframe rss` prints."""

from __future__ import annotations

from zcframe.framework.rss.predict import Prediction, QueueLoad


def _queue_line(load: QueueLoad, whole: int) -> str:
    share = load.packets / max(whole, 1)
    return f"queue {load.queue:2}  {load.packets:>12,} packets  {share:6.1%}  {load.bytes:>15,} bytes"


def prediction_lines(prediction: Prediction) -> list[str]:
    """Balance of the queues, hash types, and what becomes of the flows."""
    config = prediction.config
    types = ", ".join(f"{name} {n:,}" for name, n in prediction.hash_types.items() if n)
    lines = [
        f"key {config.key_name} {config.key.hex()}",
        f"fields {config.fields}, {config.queues} queues; {config.symmetry}",
        f"{prediction.packets:,} packets, {prediction.bytes:,} bytes",
        *(_queue_line(load, prediction.packets) for load in prediction.queues),
        f"imbalance {prediction.imbalance:.2f} (packets of the busiest queue over the mean)",
        f"hash types: {types or 'no packets'}",
        f"{prediction.flows:,} flows",
        f"split     {prediction.split:6.1%}  {prediction.split_flows:,} flows: two directions, two queues",
        f"one_sided {prediction.one_sided:6.1%}  {prediction.one_sided_flows:,} flows: the capture shows one direction",
    ]
    if prediction.unfollowed:
        lines.append(f"the flow table was full: {prediction.unfollowed:,} packets of further flows are in no share")
    return lines
