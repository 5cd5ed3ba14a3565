"""What a test may need of the machine: one that needs what is not there is skipped, and the end says so, by group.

    @pytest.mark.needs("tshark")
    def test_...

With CI=true the groups of `REQUIRED` must run: there, a test that cannot is a failure.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

REQUIRED = {
    "curl",
    "dig",
    "ethtool",
    "gcc",
    "iperf3",
    "lab",
    "namespaces",
    "nginx",
    "ping",
    "root",
    "spin",
    "tcpdump",
    "tshark",
}

MISSING = pytest.StashKey[Counter[tuple[str, str]]]()


def captures_folder() -> Path | None:
    """$ZCFRAME_CAPTURES, or shared/captures beside the checkout: captures of real programs, which the clone lacks."""
    named = os.environ.get("ZCFRAME_CAPTURES")
    folder = Path(named) if named else ROOT.parent / "shared" / "captures"
    return folder if folder.is_dir() else None


def _program(name: str, package: str = "") -> Callable[[], str]:
    def probe() -> str:
        return "" if shutil.which(name) else f"{name} is not installed: apt-get install {package or name}"

    return probe


def _nfstream() -> str:
    return "" if importlib.util.find_spec("nfstream") else "nfstream is not installed: pip install '.[bench]'"


def _root() -> str:
    return "" if os.geteuid() == 0 else "root is needed: call make as root"


def _namespaces() -> str:
    if not shutil.which("unshare") or not shutil.which("ip"):
        return "unshare or ip is not installed: apt-get install util-linux iproute2"
    made = subprocess.run(["unshare", "--net", "ip", "link"], capture_output=True, text=True, check=False)
    return "" if made.returncode == 0 else f"no network namespace can be made: {made.stderr.strip()}"


def _lab() -> str:
    if _root():
        return _root()
    return "" if shutil.which("apt-get") else "the lab takes QEMU and kernels from Debian's packages: no apt-get here"


def _captures() -> str:
    return "" if captures_folder() else "no folder of real captures: name one in ZCFRAME_CAPTURES"


def _tracing() -> str:
    from tests.kit.traced import may_trace

    return "" if may_trace() else "no process may be traced, or stepped, here"


# What each group needs, as a probe that says why it is not there, or "".
GROUPS: dict[str, Callable[[], str]] = {
    "captures": _captures,
    "curl": _program("curl"),
    "dig": _program("dig", "bind9-dnsutils"),
    "ethtool": _program("ethtool"),
    "gcc": _program("gcc", "gcc libc6-dev"),
    "iperf3": _program("iperf3"),
    "lab": _lab,
    "namespaces": _namespaces,
    "nfstream": _nfstream,
    "nginx": _program("nginx", "nginx-light"),
    "ping": _program("ping", "iputils-ping"),
    "root": _root,
    "spin": _program("spin"),
    "tcpdump": _program("tcpdump"),
    "tracing": _tracing,
    "tshark": _program("tshark"),
}


@functools.cache
def reason_against(group: str) -> str:
    """Why this machine cannot run the tests of `group`; "" where it can."""
    return GROUPS[group]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"needs(*groups): what the test needs of the machine: {', '.join(GROUPS)}")
    config.stash[MISSING] = Counter()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for group in _groups(item):
            if group not in GROUPS:
                raise pytest.UsageError(f"{item.nodeid} needs {group!r}: there is only {', '.join(GROUPS)}")


def _groups(item: pytest.Item) -> list[str]:
    return [group for mark in item.iter_markers("needs") for group in mark.args]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for group in _groups(item):
        reason = reason_against(group)
        if not reason:
            continue
        if group in REQUIRED and os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the group {group}: {reason}", pytrace=False)
        item.config.stash[MISSING][group, reason] += 1
        pytest.skip(f"{group}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    missing = config.stash[MISSING]
    if missing:
        terminalreporter.section("groups that this machine cannot run")
        for (group, reason), count in sorted(missing.items()):
            terminalreporter.line(f"{group}: {count} not run: {reason}")


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of real captures; the test that takes it also says needs("captures")."""
    folder = captures_folder()
    if folder is None:
        pytest.skip(reason_against("captures"))
    return folder
