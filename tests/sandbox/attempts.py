"""What the hostile processes of tests/kit/analyzers/hostile.py tried, as their run tells."""

from __future__ import annotations

import re

from tests.kit.places import ANALYZERS

HOSTILE = f"{ANALYZERS / 'hostile.py'}:Hostile"
LINE = re.compile(r"(zc-[a-z]+)\S*: hostile: (.*?): (done|refused: .*)$", re.MULTILINE)
WORKER, READER, NIC = "zc-rx", "zc-read", "zc-nic"
# Where the program is not closed in, it must get as far as this: else its refusals would prove nothing.
REACHED = frozenset(
    {
        "write progress of the neighbour",
        "write orders of the neighbour",
        "write frames without IP of the neighbour",
        "hold /memfd:zc-state (deleted)",
        "hold /memfd:zc-progress-0 (deleted)",
        "hold /memfd:zc-user-0 (deleted)",
        "signal the neighbour",
        "hold the supervisor",
        "move the neighbour",
        "read a file",
        "write a file",
        "fork",
        "execute",
        "socket INET",
        "executable memory",
    }
)


# What reads files and compiles needs these, and keeps the user by whom files are opened.
NEEDED_BY_NIC = frozenset({"read a file", "fork", "become root", "memory of its own name", "executable memory"})


def attempts(stderr: str, process: str = WORKER) -> dict[str, bool]:
    """Whether each attempt of a process succeeded. Of descriptors with one name, whether any did."""
    found: dict[str, bool] = {}
    for whose, name, outcome in LINE.findall(stderr):
        if whose != process:
            continue
        plain = re.sub(r" \(\d+\)$", "", name)
        found[plain] = found.get(plain, False) or outcome == "done"
    return found


def succeeded(stderr: str, process: str = WORKER) -> set[str]:
    """The attempts of a process that were of use."""
    return {name for name, done in attempts(stderr, process).items() if done}


def check_refused(stderr: str) -> None:
    """The worker tried everything, and nothing was of use."""
    tried = set(attempts(stderr))
    assert tried >= REACHED, f"not tried: {REACHED - tried}; {stderr}"
    assert not succeeded(stderr)


def check_reached(stderr: str, *also: str) -> None:
    """The control: without walls the same program reaches what it aims at."""
    assert succeeded(stderr) >= REACHED | set(also), stderr
