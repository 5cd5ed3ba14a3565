"""The host's Python as an image of a filesystem: its library and its packages, which a guest reads by blocks.

By 9p each look at a file is a round trip to QEMU: the imports of zcframe are some ten thousand of them.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from .packages import LabError, output

# What no scenario imports.
SPARED = ("test", "tests", "config-*", "ensurepip", "idlelib", "lib2to3", "tkinter", "turtledemo", "mypy", "mypyc")
SPARED += ("pip", "scapy", "ruff*", "*__mypyc*")
ROOM = 1.3
OPTIONS = ("-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-m", "0")


def folders() -> dict[str, Path]:
    """Name in the image -> where it lies on the host: the library, and the packages of this environment."""
    return {"library": Path(sysconfig.get_path("stdlib")), "packages": Path(sysconfig.get_path("purelib"))}


def _fingerprint() -> str:
    """Of what is installed: a package that comes, goes or changes has another folder."""
    rows = [sys.version, str(SPARED)]
    for folder in folders().values():
        rows += [f"{path} {path.stat().st_mtime_ns}" for path in sorted(folder.iterdir())]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def _copy(source: Path, target: Path) -> None:
    target.mkdir()
    # The library's own folder of packages is none of this environment's.
    spared = [f"--exclude={name}" for name in (*SPARED, "./site-packages")]
    with subprocess.Popen(["tar", "-C", source, *spared, "-c", "."], stdout=subprocess.PIPE) as tar:
        done = subprocess.run(["tar", "-C", target, "-x"], stdin=tar.stdout)
    if tar.returncode or done.returncode:
        raise LabError(f"{source} cannot be copied")


def _size(folder: Path) -> int:
    return int(output("du", "-s", "--block-size=1", folder).split()[0])


def pack_interpreter(folder: Path) -> Path:
    """The image in this folder, made anew where what is installed has changed. Raises LabError."""
    image = folder / f"interpreter-{_fingerprint()}.ext4"
    if image.exists():
        return image
    for old in folder.glob("interpreter-*"):
        old.unlink()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        for part, source in folders().items():
            _copy(source, Path(name) / part)
        fresh = image.with_suffix(".new")
        size = f"{int(_size(Path(name)) * ROOM) // 1024}k"
        output("mke2fs", *OPTIONS, "-d", name, fresh, size)
    return fresh.replace(image)
