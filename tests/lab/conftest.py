"""The lab's lines at the end of a run: figures and seconds of each scenario, and what was tried again."""

from __future__ import annotations

import pytest


def _told(terminalreporter: pytest.TerminalReporter, name: str) -> list[str]:
    """What scenarios recorded by this name, in whatever process they ran."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    # They come with each phase of a test, and are complete with the call.
    called = [report for report in reports if getattr(report, "when", "") == "call"]
    return [str(text) for report in called for key, text in report.user_properties if key == name]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines, again = _told(terminalreporter, "lab"), _told(terminalreporter, "lab again")
    if lines:
        terminalreporter.section("the lab")
        for line in lines:
            terminalreporter.line(line)
        terminalreporter.line(f"{len(again)} tried again")
        for line in again:
            terminalreporter.line(line)
