"""The debug kernel: Debian's source of the newest series, with every detector on that concerns us, built once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .kernels import Headers, Kernel
from .packages import Apt, LabError, output
from .source import prepare_tree

CONFIG = Path(__file__).with_name("debug.config")
# What builds a kernel, beside what the lab has anyway: program and package.
TOOLS = {"flex": "flex", "bison": "bison", "bc": "bc", "xz": "xz-utils"}
LIBRARIES = ("libelf-dev",)
# How many times longer than on a stock kernel things may take.
PATIENCE = 4


def _make(tree: Path, *words: str) -> None:
    """make in the tree; raises LabError with the end of what it said."""
    command = ["nice", "make", "-C", str(tree), "-j", str(os.cpu_count()), *words]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise LabError(f"the debug kernel does not build: {' '.join(words)}\n{done.stdout[-3000:]}")


def _options(path: Path) -> dict[str, str]:
    rows = (row.partition("=") for row in path.read_text().splitlines() if row.startswith("CONFIG_"))
    return {name: value for name, _, value in rows}


def _check_config(tree: Path) -> None:
    """Kconfig drops what it finds no reason for without a word: what was asked for has to be there."""
    found = _options(tree / ".config")
    missing = [name for name, value in _options(CONFIG).items() if found.get(name, "n") != value]
    if missing:
        raise LabError(f"the debug kernel's configuration lacks {', '.join(missing)}")


def _configure(tree: Path) -> None:
    _make(tree, "tinyconfig")
    output("scripts/kconfig/merge_config.sh", "-m", ".config", CONFIG, folder=tree)
    _make(tree, "olddefconfig")
    _check_config(tree)


def prepare_debug_kernel(apt: Apt, cache: Path) -> Kernel:
    """Build it, unless it stands there already: 15 to 40 minutes on two cores. Raises LabError."""
    tree = prepare_tree(apt, cache)
    stamp = tree / "configured-by"
    if not stamp.exists() or stamp.read_text() != CONFIG.read_text():
        for package in (*TOOLS.values(), *LIBRARIES):
            apt.install(package)
        _configure(tree)
        _make(tree, "vmlinux", "modules")
        stamp.write_text(CONFIG.read_text())
    release = output("make", "-s", "-C", tree, "kernelrelease").strip()
    return Kernel("debug", release, tree / "vmlinux", Headers(tree), detectors=True, patience=PATIENCE)
