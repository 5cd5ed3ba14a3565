"""The Python that runs this command, as far as a copy of its interpreter has to know it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from zcframe.framework.errors import SetupError

# Folders of an environment that hold packages; lib64 is there where the distribution keeps compiled ones apart.
LIBRARIES = ("lib", "lib64")
PATH = "import sys; print(*sys.path, sep=chr(10))"


@dataclass(frozen=True)
class Installation:
    """interpreter: the program itself, behind all symbolic links. environment: the venv, None where there is none.

    system_packages: whether packages outside the venv are seen, too. code: folders from which code is loaded.
    objects: files of machine code that are mapped, such as a libpython.
    """

    interpreter: Path
    environment: Path | None
    system_packages: bool
    code: tuple[Path, ...]
    objects: tuple[Path, ...] = ()

    @classmethod
    def running(cls) -> Installation:
        """That of this process. Raises SetupError where it is no Python that can be copied."""
        interpreter = Path(os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable))
        if not interpreter.is_file():
            raise SetupError(f"the interpreter of this command, {sys.executable}, is no file that could be copied")
        if sys.prefix == sys.base_prefix:
            return cls(interpreter, None, True, _code(), _objects())
        environment = Path(sys.prefix)
        return cls(interpreter, environment, _sees_system(environment), _code(), _objects())

    @property
    def libraries(self) -> dict[str, Path]:
        """The environment's folders of packages, by name."""
        if self.environment is None:
            return {}
        return {name: path for name in LIBRARIES if (path := self.environment / name).is_dir()}

    @property
    def settings(self) -> str:
        """pyvenv.cfg of an environment like this one."""
        version = ".".join(map(str, sys.version_info[:3]))
        seen = str(self.system_packages).lower()
        return f"home = {self.interpreter.parent}\ninclude-system-site-packages = {seen}\nversion = {version}\n"


def _sees_system(environment: Path) -> bool:
    try:
        text = (environment / "pyvenv.cfg").read_text()
    except OSError:
        return False
    return bool(re.search(r"^include-system-site-packages\s*=\s*true\s*$", text, re.MULTILINE | re.IGNORECASE))


def _objects() -> tuple[Path, ...]:
    """The programs and libraries that this process runs."""
    with open("/proc/self/maps") as maps:
        rows = [line.split(maxsplit=5) for line in maps]
    paths = [row[5].strip() for row in rows if len(row) == 6 and "x" in row[1] and row[5].startswith("/")]
    return tuple(map(Path, dict.fromkeys(paths)))


def _isolated_path() -> list[str]:
    """Where the command is imported from when no variable, working directory or home of a user has a say in it."""
    try:
        done = subprocess.run([sys.executable, "-I", "-c", PATH], capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"{sys.executable} does not tell where it imports from: {error}") from error
    return done.stdout.splitlines()


def _code() -> tuple[Path, ...]:
    """Folders that the command is imported from: Python's own, installed packages, sources that are installed so."""
    package = Path(sys.modules["zcframe"].__path__[0]).resolve()
    parts = [path.resolve() for path in package.iterdir() if path.is_dir()]
    # What lies beside the package in its checkout is never imported.
    named = [Path(entry) for entry in _isolated_path() if os.path.isdir(entry) and Path(entry) != package.parent]
    standard = Path(os.__file__).resolve().parent
    return tuple(dict.fromkeys([standard, *named, package, *parts]))
