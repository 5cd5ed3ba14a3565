"""Findings in text: what `zcframe doctor` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zcframe.framework.health import Check

MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "none": "-   "}


def finding_lines(found: Iterable[Check]) -> Iterator[str]:
    """A line a finding, and below it what mends it."""
    for check in found:
        yield f"{MARKS[check.state]}  {check.name:10}  {check.text}"
        if check.remedy and check.state != "ok":
            yield f"{'':18}{check.remedy}"
