"""`python -m tests.lab.static [--required]`: what tools that run nothing say of kernel/, a line a tool.

The compiler's W=1 and sparse against KDIR, or against every kernel that the lab has unpacked, or against the running one's
headers; the newest of these brings kernel-doc, and Debian's linux-source checkpatch. What is not there is named and left
out; with --required it is fetched, and left out nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .build import KERNEL, make_modules, modules_folder
from .kernels import Headers, newest_versions, prepare_kernels, prepare_next_kernel, unpack_scripts, unpacked_kernels
from .packages import LabError, cache_folder, locked, prepare_packages

# What checkpatch asks for and we do not do.
EXEMPT = {
    "BIT_MACRO": "user space, for which the uapi header is, has no BIT()",
    "CAMELCASE": "ethtool's names of link modes",
    "CONST_STRUCT": "the family's number is a parameter of the module",
    "PREFER_KERNEL_TYPES": "half of zc_ring.h is for user space",
    "UNCOMMENTED_DEFINITION": "kernel-doc describes what a lock guards",
}


class MissingTool(LabError):
    """A check cannot run here; the message says what it lacks."""


@dataclass(frozen=True)
class Workshop:
    """What is checked, `source`; where objects and fetched scripts lie, `cache`; kernel `headers`, oldest first."""

    source: Path
    cache: Path
    headers: tuple[Headers, ...]

    @property
    def own(self) -> Workshop:
        """The same with the headers of this machine's own Debian alone."""
        return replace(self, headers=tuple(headers for headers in self.headers if headers.root is None))

    def files(self) -> list[Path]:
        """C sources and headers of ours; none that a build left in the tree."""
        return sorted(path for path in self.source.rglob("*.[ch]") if not path.name.endswith(".mod.c"))

    def script(self, name: str) -> Path:
        """The newest `name` of the kernel's scripts. Raises MissingTool."""
        folders = [self.cache / "scripts", *(headers.path / "scripts" for headers in reversed(self.headers))]
        found = next((folder / name for folder in folders if (folder / name).exists()), None)
        if not found:
            raise MissingTool(f"no {name}: python -m tests.lab.static --required, as root, fetches it")
        return found


def open_workshop(source: Path = KERNEL) -> Workshop:
    """Raises LabError where KDIR names no headers."""
    cache = cache_folder()
    named = os.environ.get("KDIR")
    if named:
        if not (Path(named) / "Makefile").exists():
            raise LabError(f"KDIR={named}: no kernel headers there")
        return Workshop(source, cache, (Headers(Path(named).resolve()),))
    running = Path("/lib/modules") / os.uname().release / "build"
    unpacked = tuple(kernel.headers for kernel in unpacked_kernels(cache))
    return Workshop(source, cache, unpacked or ((Headers(running),) if running.exists() else ()))


def fetch_tools() -> None:
    """Kernels and their headers, also those of a newer Debian, and checkpatch, into the cache. Raises LabError."""
    cache = cache_folder()
    with locked(cache):
        apt = prepare_packages(cache)
        prepare_kernels(apt, cache)
        prepare_next_kernel(apt, cache)
        unpack_scripts(apt, next(iter(newest_versions(apt))), cache / "scripts")


def need(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program):
            raise MissingTool(f"{program} is not installed: apt-get install {program}")


def build(shop: Workshop, title: str, *flags: str) -> str:
    """Both modules for each of the kernels, with `flags` for make."""
    if not shop.headers:
        raise MissingTool("no kernel headers: name some in KDIR, or run make lab once")
    with locked(shop.cache):
        for headers in shop.headers:
            make_modules(headers, modules_folder(headers, shop.cache), shop.source, *flags)
    return f"{title} on {', '.join(headers.path.name for headers in shop.headers)}"


def check_compiler(shop: Workshop) -> str:
    need("make", "gcc")
    return build(shop, "nothing to warn of")


def check_sparse(shop: Workshop) -> str:
    need("make", "gcc", "sparse")
    # No sparse that Debian has reads the headers of the next release's kernels (__typeof_unqual__).
    return build(shop.own, "nothing found", "C=2", "CHECK=sparse")


def check_style(shop: Workshop) -> str:
    need("perl")
    options = [
        "--no-tree",
        "--root=.",
        "--strict",
        "--terse",
        "--no-summary",
        "--show-types",
        f"--ignore={','.join(EXEMPT)}",
    ]
    return judge(shop, "perl", shop.script("checkpatch.pl"), *options, "-f")


def check_docs(shop: Workshop) -> str:
    return judge(shop, shop.script("kernel-doc"), "-none", "-Wall", "-Werror")


def judge(shop: Workshop, *command: str | Path) -> str:
    """Run a command over every file; raises LabError with what it says, should it say anything."""
    files = shop.files()
    # checkpatch keeps the words that it finds below include/ in a file in its working directory.
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "include").mkdir()
        done = subprocess.run(
            [*command, *files], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    if done.returncode or done.stdout.strip():
        raise LabError(f"{len(files)} files\n{done.stdout}".replace(f"{shop.source}/", "").rstrip())
    return f"{len(files)} files"


CHECKS: dict[str, Callable[[Workshop], str]] = {
    "W=1": check_compiler,
    "sparse": check_sparse,
    "checkpatch": check_style,
    "kernel-doc": check_docs,
}


def attempt(shop: Workshop, name: str, required: bool) -> bool:
    """Run one check and print its line. False where it failed, or is missing and must not be."""
    try:
        print(f"ok    {name}: {CHECKS[name](shop)}", flush=True)
    except MissingTool as lack:
        print(f"{'FAIL' if required else 'skip'}  {name}: {lack}", flush=True)
        return not required
    except LabError as finding:
        print(f"FAIL  {name}: {finding}", flush=True)
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.static", description=__doc__)
    parser.add_argument("--required", action="store_true", help="fetch what is missing; without it, fail")
    required: bool = parser.parse_args().required
    try:
        if required:
            fetch_tools()
        shop = open_workshop()
    except LabError as error:
        print(f"the checks of kernel/ cannot run: {error}", file=sys.stderr)
        return 2
    failed = [name for name in CHECKS if not attempt(shop, name, required)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
