"""A Debian release of its own in a folder, for what this machine's is too old for: the tools of newer kernels' headers
need a newer C library, and a newer interpreter comes with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .packages import Apt, output

# Name servers and certificates are this machine's: what it reaches is reached from there. Mounts end with the process
# that made them, and so with their namespace: nothing is left in the folder. The root is entered for good: in a chroot
# the kernel makes no user namespace.
ENTER = """
for file in etc/resolv.conf etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "/$file" ] || { mkdir -p "${file%/*}"; cp --remove-destination "/$file" "$file"; }
done
while [ "$1" != -- ]; do mkdir -p "$2" && mount --bind "$1" "$2"; shift 2; done
shift
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
pivot_root . .
umount --lazy .
cd /
exec "$@"
"""


@dataclass(frozen=True)
class Root:
    """A folder with a whole Debian release in it."""

    path: Path

    def command(self, *command: str, mounts: Mapping[Path, str] | None = None) -> list[str]:
        """The command line that runs a command in here; mounts: folder of this machine -> where it is seen, "/src"."""
        pairs = [word for folder, seen in (mounts or {}).items() for word in (str(folder), seen.lstrip("/"))]
        inside = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-ec",
            f'mount --bind "$0" "$0"; cd "$0"; {ENTER}',
        ]
        return [*inside, str(self.path), *pairs, "--", *command]

    def install(self, *packages: str, suite: str = "") -> None:
        """Packages, of another suite than its own if one is named, without what they only recommend. Raises LabError."""
        # A mirror may be a snapshot: its lists are signed all the same, and only older than they would have themselves.
        apt = ["apt-get", "-q", "-y", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Check-Valid-Until=false"]
        output(*self.command(*apt, "update"))
        target = ["-t", suite] if suite else []
        output(*self.command(*apt, "install", "--no-install-recommends", *target, *packages))

    def need(self, *packages: str) -> None:
        """Install the packages that are not there yet. Raises LabError."""
        there = {path.stem.partition(":")[0] for path in self.path.glob("var/lib/dpkg/info/*.list")}
        if missing := [package for package in packages if package not in there]:
            self.install(*missing)


def prepare_root(apt: Apt, cache: Path, suite: str, *packages: str) -> Root:
    """The root of a suite, "trixie" or "testing", made by debootstrap where it is not there yet. Raises LabError."""
    root = Root(cache / "roots" / suite)
    if root.path.exists():
        return root
    apt.need("debootstrap")
    partial = root.path.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    include = ",".join(packages)
    output("debootstrap", "--variant=minbase", f"--include={include}", suite, partial, apt.archive)
    partial.rename(root.path)
    return root
