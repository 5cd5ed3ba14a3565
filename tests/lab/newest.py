"""`python -m tests.lab.newest [ARGUMENT...]`: unit and property tests on the newest Python that Debian has.

In a root of Debian's testing, with a copy of this checkout; arguments are handed to pytest.
"""

from __future__ import annotations

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
# The interpreter, and what the tests call: a compiler, independent readers.
PACKAGES = ("python3", "python3-venv", "ca-certificates", "gcc", "libc6-dev", "make", "procps", "iproute2", "ethtool")
READERS = ("tshark", "tcpdump", "libpcap-dev")


def prepare() -> tuple[Root, Path]:
    """The root, and the folder in which it sees the copy of this checkout as /zc. Raises LabError."""
    cache = cache_folder()
    with locked(cache):
        apt = prepare_packages(cache)
        root = prepare_root(apt, cache, "testing", *PACKAGES)
        if not (root.path / "usr/bin/tshark").exists():
            root.install(*READERS, suite="testing")
    place = checkout_folder(cache) / "newest"
    shutil.rmtree(place / "tree", ignore_errors=True)
    shutil.copytree(TREE, place / "tree", symlinks=True, ignore=LEFT_OUT)
    return root, place


def run(root: Root, place: Path, *command: str) -> list[str]:
    # What CI must not leave out is run by `make test`.
    environment = ["env", "-C", "/zc/tree", "-u", "CI", "HOME=/root", "XDG_CACHE_HOME=/zc/cache", "TMPDIR=/tmp"]
    return root.command(*environment, *command, mounts={place: "/zc"})


def test(*arguments: str) -> int:
    """Exit code of pytest. Raises LabError where the root cannot be made."""
    root, place = prepare()
    output(*run(root, place, "python3", "-m", "venv", "/zc/venv"))
    output(*run(root, place, "/zc/venv/bin/pip", "install", "--quiet", "--editable", ".[test]"))
    print(output(*run(root, place, "/zc/venv/bin/python", "--version")).strip(), flush=True)
    spread = ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
    wanted = arguments or ("tests/unit", "tests/property")
    return subprocess.run(run(root, place, "/zc/venv/bin/python", "-m", "pytest", *spread, *wanted)).returncode


if __name__ == "__main__":
    try:
        sys.exit(test(*sys.argv[1:]))
    except LabError as error:
        print(f"{Path(__file__).stem}: {error}", file=sys.stderr)
        sys.exit(2)
