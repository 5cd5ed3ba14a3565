"""`python -m tests.lab.release SUITE [ARGUMENT...]`: a new user's two commands on another Debian, "trixie" or "testing".

`make run`, then `make test-quick`, or `make test` with these arguments for pytest, in a root of that suite, with a copy of
this checkout.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from .packages import LabError, cache_folder, checkout_folder, locked, output, prepare_packages
from .root import Root, prepare_root

TREE = Path(__file__).resolve().parents[2]
# Made by git and by tools, or by another interpreter.
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "build", "dist"
)
# What README asks for, and what the tests call: a compiler, independent readers.
PACKAGES = ("python3", "python3-venv", "make")
TOOLS = ("gcc", "libc6-dev", "procps", "iproute2", "ethtool", "tshark", "tcpdump", "libpcap-dev", "spin")


def prepare(suite: str) -> tuple[Root, Path]:
    """The root, and the folder that it sees as /zc, which has a copy of this checkout. Raises LabError."""
    cache = cache_folder()
    with locked(cache):
        apt = prepare_packages(cache)
        root = prepare_root(apt, cache, suite, "ca-certificates")
        root.need(*PACKAGES, *TOOLS)
    place = checkout_folder(cache) / suite
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(TREE, place / "tree", symlinks=True, ignore=LEFT_OUT)
    return root, place


def run(root: Root, place: Path, *command: str) -> list[str]:
    """The command line of a command in the copy. What CI must not leave out is run by `make test` there."""
    environment = ["env", "-C", "/zc/tree", "-u", "CI", "HOME=/root", "XDG_CACHE_HOME=/zc/cache", "TMPDIR=/tmp"]
    return root.command(*environment, *command, mounts={place: "/zc"})


def test(suite: str, *arguments: str) -> int:
    """Exit code of the tests. Raises LabError where the root cannot be made, or `make run` fails in it."""
    root, place = prepare(suite)
    output(*run(root, place, "make", "run", "ARGS=--loop 1 --speed max --json"))
    version = output(*run(root, place, ".venv/bin/python", "--version")).strip()
    tests = ["make", "test", f"ARGS={shlex.join(arguments)}"] if arguments else ["make", "test-quick"]
    print(f"{suite}, {version}: make run ends with 0; {' '.join(tests)}:", flush=True)
    return subprocess.run(run(root, place, *tests)).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        sys.exit(test(*sys.argv[1:]))
    except LabError as error:
        print(f"tests.lab.release: {error}", file=sys.stderr)
        sys.exit(2)
