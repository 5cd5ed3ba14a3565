"""Times of day as RFC 3339 writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(at: float) -> str:
    """Seconds since the epoch as UTC, to the millisecond: for documents, which are compared and merged."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local(at: float) -> str:
    """Seconds since the epoch as local time with its offset, to the second: for people."""
    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="seconds")


def event_line(text: str, at: float) -> str:
    """A line for people about something that happened at that time."""
    return f"{local(at)} zcframe: {text}"
