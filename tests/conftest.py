"""What a test may need of the machine: one that needs what is not there is skipped, and the end says so, by group.

    @pytest.mark.needs("tshark")
    def test_...

With CI=true the groups of `REQUIRED` must run: there, a test that cannot is a failure.

It also says how tests share the CPUs. With `-n auto` (pytest-xdist) each process takes one file after the other, the folders
of `FOLDERS` in their order, so that the longest begins first and short ones fill the end. The lab is one unit: two guests
beside each other would slow both down. The end names the seconds of each folder.
"""

from __future__ import annotations

import ctypes.util
import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

REQUIRED = {
    "chromium",
    "curl",
    "dig",
    "ethtool",
    "gcc",
    "iperf3",
    "lab",
    "libpcap",
    "lz4",
    "namespaces",
    "nginx",
    "p0f",
    "ping",
    "root",
    "seccomp",
    "spin",
    "suricata",
    "tcpdump",
    "tshark",
    "zstd",
}

MISSING = "missing"

# Folders below tests/, the longest first.
FOLDERS = ("lab", "e2e", "netns", "property", "ids", "benchmarks", "sandbox", "cases", "unit")
# Processes that run tests: more than this need more memory than they gain time.
MOST_PROCESSES = 8


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


def _datasketches() -> str:
    return "" if importlib.util.find_spec("datasketches") else "datasketches is not installed: pip install '.[test]'"


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


def _hugepages() -> str:
    from zcframe.framework.ring.large import free_huge_pages

    return "" if free_huge_pages() >= 100 else "fewer than 100 huge pages are free: sysctl vm.nr_hugepages=100"


def _shmem_huge() -> str:
    from zcframe.framework.ring.large import GIVING, SHARED_MODE, shared_mode

    return "" if shared_mode() in GIVING else f"shared memory gets no huge pages: echo advise >/{SHARED_MODE}"


def _libpcap() -> str:
    return "" if ctypes.util.find_library("pcap") else "libpcap is not installed: apt-get install libpcap-dev"


def _captures() -> str:
    return "" if captures_folder() else "no folder of real captures: name one in ZCFRAME_CAPTURES"


def _tracing() -> str:
    from tests.kit.traced import may_trace

    return "" if may_trace() else "no process may be traced, or stepped, here"


def _seccomp() -> str:
    from zcframe.framework.sandbox import missing

    return missing()


def _suricata() -> str:
    from tests.kit.suricata import reason_against

    return reason_against()


# What each group needs, as a probe that says why it is not there, or "".
GROUPS: dict[str, Callable[[], str]] = {
    "captures": _captures,
    "chromium": _program("chromium"),
    "curl": _program("curl"),
    "datasketches": _datasketches,
    "dig": _program("dig", "bind9-dnsutils"),
    "ethtool": _program("ethtool"),
    "gcc": _program("gcc", "gcc libc6-dev"),
    "hugepages": _hugepages,
    "iperf3": _program("iperf3"),
    "lab": _lab,
    "libpcap": _libpcap,
    "lz4": _program("lz4"),
    "namespaces": _namespaces,
    "nfstream": _nfstream,
    "nginx": _program("nginx", "nginx-light"),
    "p0f": _program("p0f"),
    "ping": _program("ping", "iputils-ping"),
    "root": _root,
    "seccomp": _seccomp,
    "shmem_huge": _shmem_huge,
    "spin": _program("spin"),
    "suricata": _suricata,
    "tcpdump": _program("tcpdump"),
    "tracing": _tracing,
    "tshark": _program("tshark"),
    "zstd": _program("zstd"),
}


@functools.cache
def reason_against(group: str) -> str:
    """Why this machine cannot run the tests of `group`; "" where it can."""
    return GROUPS[group]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--whole",
        action="store_true",
        help="lead processes that are killed anywhere by single instructions; try ten times as many examples",
    )


def _be_thorough() -> None:
    from hypothesis import settings

    from tests.kit.traced import Traced

    Traced.guards = False
    settings.register_profile("whole", max_examples=1000)
    settings.load_profile("whole")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("whole"):
        _be_thorough()
    config.addinivalue_line("markers", "long: takes seconds, so that test-quick and test-newest leave it out")
    config.addinivalue_line("markers", f"needs(*groups): what the test needs of the machine: {', '.join(GROUPS)}")
    if hasattr(config, "workerinput"):
        # The thread with which pytest-xdist talks to its process; tests fork here as they do without it.
        config.addinivalue_line("filterwarnings", "ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What `-n auto` means."""
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


def _folder(path: str) -> str:
    """The folder below tests/ of a test's file."""
    parts = Path(path).parts
    return parts[1] if len(parts) > 2 else parts[0]


def _shared(config: pytest.Config) -> bool:
    """Whether tests run in several processes; each of them must find the same tests in the same order."""
    # In these processes themselves, xdist sets --dist to "no".
    return hasattr(config, "workerinput") or (config.pluginmanager.hasplugin("xdist") and config.option.dist != "no")


def _longest_first(items: list[pytest.Item]) -> None:
    """Order the tests. (xdist hands them out file by file, in this order.)"""
    places = {folder: place for place, folder in enumerate(FOLDERS)}
    items.sort(key=lambda item: places.get(_folder(item.location[0]), len(places)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _shared(config):
        _longest_first(items)
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
        # Properties travel with the report, from whichever process the test ran in.
        item.user_properties.append((MISSING, (group, reason)))
        pytest.skip(f"{group}: {reason}")


def _reports(terminalreporter: pytest.TerminalReporter) -> Iterator[pytest.TestReport]:
    """Reports of all phases of all tests."""
    for reports in terminalreporter.stats.values():
        yield from (report for report in reports if isinstance(report, pytest.TestReport))


def _tell_seconds(terminalreporter: pytest.TerminalReporter) -> None:
    seconds, tests = Counter[str](), Counter[str]()
    for report in _reports(terminalreporter):
        folder = _folder(report.location[0])
        kernel = re.search(r"\[(\w+-kernel)\b", report.location[2]) if folder == "lab" else None
        name = f"{folder}, {kernel[1]}" if kernel else folder
        seconds[name] += report.duration
        tests[name] += report.when == "setup"
    terminalreporter.section("seconds by folder")
    for name, spent in sorted(seconds.items()):
        terminalreporter.line(f"{name}: {spent:.0f} s, {tests[name]} tests")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _tell_seconds(terminalreporter)
    # A report of each phase carries the properties.
    setups = [report for report in _reports(terminalreporter) if report.when == "setup"]
    properties = [prop for report in setups for prop in report.user_properties]
    missing = Counter(tuple(found) for name, found in properties if name == MISSING)
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
