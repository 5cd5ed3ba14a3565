"""Debian's packages: QEMU installed, kernels with their headers and busybox only unpacked into the cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Programs that the lab calls, and the packages that bring them.
PROGRAMS = {"ethtool": "ethtool", "gcc": "gcc", "make": "make", "zstd": "zstd", "xz": "xz-utils", "cpio": "cpio"}
PROGRAMS |= {"mke2fs": "e2fsprogs"}


class LabError(Exception):
    """The lab cannot run here; the message says what is missing."""


def cache_folder() -> Path:
    """Everything that the lab makes, and may be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "zcframe-lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def checkout_folder(cache: Path) -> Path:
    """The part of the cache for what is made of this checkout's files: others may be of another version."""
    checkout = Path(__file__).resolve().parent
    folder = cache / "checkouts" / hashlib.sha256(bytes(checkout)).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Alone with the cache: processes that test side by side make what is missing one after the other."""
    with (cache / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def os_release() -> dict[str, str]:
    rows = Path("/etc/os-release").read_text().splitlines()
    return {key: value.strip('"') for key, _, value in (row.partition("=") for row in rows)}


def output(*command: str | Path, env: dict[str, str] | None = None, folder: Path | None = None) -> str:
    """What a command writes; raises LabError where it fails."""
    done = subprocess.run(command, env=env, cwd=folder, text=True, capture_output=True)
    if done.returncode:
        raise LabError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


class Apt:
    """apt with the backports suite added, in lists of its own: the machine's sources stay as they are.

    other: a Debian release that is not this machine's, of which packages are only unpacked.
    """

    def __init__(self, cache: Path, other: str = "") -> None:
        self.folder = cache / (f"apt-{other}" if other else "apt")
        self.debs = cache / "debs"
        self.other = other
        release = os_release()
        if not shutil.which("apt-get") or release.get("ID") != "debian":
            raise LabError("the lab takes QEMU and kernels from Debian's packages, and this is no Debian")
        if os.geteuid():
            raise LabError("the lab runs apt: be root")
        self.codename = release["VERSION_CODENAME"]
        self.backports = f"{self.codename}-backports"
        self.env = os.environ | {"APT_CONFIG": str(self.folder / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}

    def prepare(self) -> None:
        """Write the sources and read the lists, once a day at most."""
        self.debs.mkdir(parents=True, exist_ok=True)
        (self.folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (self.folder / "sources").mkdir(exist_ok=True)
        (self.folder / "sources" / "lab.sources").write_text(self._sources())
        (self.folder / "apt.conf").write_text(
            'Dir::Etc::sourcelist "/dev/null";\n'
            f'Dir::Etc::sourceparts "{self.folder / "sources"}";\n'
            f'Dir::State::lists "{self.folder / "lists"}";\n'
            'APT::Sandbox::User "root";\n'
            # A mirror may be a snapshot: its lists are signed all the same, and only older than they would have themselves.
            'Acquire::Check-Valid-Until "false";\n'
        )
        stamp = self.folder / "updated"
        if subprocess.run(["find", stamp, "-mmin", "-1440"], capture_output=True).stdout:
            return
        output("apt-get", "update", env=self.env)
        stamp.touch()

    def _known(self) -> set[tuple[str, str]]:
        """Debian's archives as this machine knows them, and their suites."""
        form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
        targets = output("apt-get", "indextargets", "--format", form, "Created-By: Packages")
        rows = [row.split("|") for row in targets.splitlines() if row.endswith("|main|Debian")]
        return {(uri, suite) for uri, suite, *_ in rows}

    @property
    def archive(self) -> str:
        """Where the release of this machine comes from; the same place has every other one. Raises LabError."""
        uris = sorted(uri for uri, suite in self._known() if suite == self.codename)
        if not uris:
            raise LabError(f"no apt source of this machine has the suite {self.codename}; run apt-get update once")
        return uris[0]

    def _wanted(self) -> set[tuple[str, str]]:
        """The archives of this machine, and backports; or the other release and its backports."""
        if self.other:
            return {(self.archive, self.other), (self.archive, f"{self.other}-backports")}
        return self._known() | {(self.archive, self.backports)}

    def _sources(self) -> str:
        stanza = (
            "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\n"
            "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        )
        return "\n".join(stanza.format(*entry) for entry in sorted(self._wanted()))

    def versions(self, package: str) -> list[str]:
        """Versions that can be had, newest first."""
        rows = output("apt-cache", "madison", package, env=self.env).splitlines()
        return [row.split("|")[1].strip() for row in rows]

    def depends(self, package: str, version: str) -> list[str]:
        """Names of the packages that this version needs."""
        shown = output("apt-cache", "show", f"{package}={version}", env=self.env)
        found = re.search(r"^Depends: (.*)$", shown, flags=re.MULTILINE)
        return re.findall(r"(?:^|, )([\w.+-]+)", found[1]) if found else []

    def unpack(self, folder: Path, *packages: str) -> None:
        """Download and unpack; nothing is installed."""
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.debs) as fresh:
            output("apt-get", "download", *packages, env=self.env, folder=Path(fresh))
            for deb in Path(fresh).iterdir():
                output("dpkg", "-x", deb, folder)

    def _install(self, package: str, backports: bool, *options: str) -> str:
        suite = ["-t", self.backports] if backports else []
        return output("apt-get", "install", "--no-install-recommends", *options, *suite, package, env=self.env)

    def install(self, package: str, *, backports: bool = False) -> None:
        self._install(package, backports, "-y")

    def brought_by(self, package: str, *, backports: bool = False) -> list[str]:
        """What `install` would bring to this machine, as name=version."""
        rows = self._install(package, backports, "--simulate").splitlines()
        found = (re.match(r"Inst (\S+)(?: \[\S+\])? \((\S+)", row) for row in rows)
        return [f"{row[1]}={row[2]}" for row in found if row]

    def need(self, program: str, package: str = "") -> None:
        """Install what brings a program, where it is not here yet; a package of its name unless one is given."""
        if not shutil.which(program):
            self.install(package or program)


def has_igb() -> bool:
    qemu = shutil.which("qemu-system-x86_64")
    return bool(qemu) and 'name "igb"' in output("qemu-system-x86_64", "-device", "help")


def prepare_packages(cache: Path) -> Apt:
    """QEMU with the 82576, and what builds and inspects; raises LabError where they cannot be had."""
    apt = Apt(cache)
    apt.prepare()
    if not has_igb():
        apt.install("qemu-system-x86", backports=True)
    if not has_igb():
        raise LabError("this QEMU has no 82576: 8.0 or newer is needed")
    for program, package in PROGRAMS.items():
        apt.need(program, package)
    return apt
