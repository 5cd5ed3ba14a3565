"""The kernel's source as Debian has it, of the newest series."""

from __future__ import annotations

from pathlib import Path

from .kernels import newest_versions
from .packages import Apt, output


def prepare_tree(apt: Apt, cache: Path) -> Path:
    """The whole tree, unpacked once. Raises LabError."""
    series, version = next(iter(newest_versions(apt).items()))
    package = f"linux-source-{series}"
    root = cache / "source" / version.replace("~", "-")
    tree = root / package
    if not (tree / "Makefile").exists():
        apt.unpack(root, f"{package}={version}")
        archive = next((root / "usr" / "src").glob("*.tar.xz"))
        output("tar", "-xJf", archive, "-C", root)
        archive.unlink()
    return tree
