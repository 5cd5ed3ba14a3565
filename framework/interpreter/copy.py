"""The folder that holds the copy: what it should look like, and the steps there and back.

DIR/bin/python3     the copy, root:GROUP, mode 0750, with the capabilities
DIR/bin/zcframe     starts this command by it
DIR/pyvenv.cfg      makes DIR an environment like the one that the command was installed in
DIR/lib             leads to that one's packages: an update of zcframe there needs no new copy
"""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zcframe.framework.errors import SetupError

from .filecaps import packed, store, stored
from .installation import LIBRARIES, Installation

# The kernel reads no longer first line of a script (BINPRM_BUF_SIZE, Linux 5.0 and older had 128).
LONGEST_LINE: Final = 127
MARK: Final = "zcframe = setup-capture\n"
LAUNCHER: Final = """#!{interpreter} -I
# Made by `zcframe setup-capture`. -I: no variable PYTHON..., no working directory decides what is imported.
import sys

from zcframe.framework.cli import main

sys.exit(main())
"""


@dataclass(frozen=True)
class Step:
    """One thing to make. text: in words; done: whether it is there as it should be."""

    text: str
    done: Callable[[], bool]
    do: Callable[[], None]


def _fresh(path: Path) -> Path:
    """Where a file is written before it takes the place of the old one."""
    return path.with_name(f".{path.name}.new")


def _replace(path: Path, write: Callable[[int], None]) -> None:
    """Make or replace a file in one step. `write` fills it and sets its owner, mode and attributes."""
    fresh = _fresh(path)
    fresh.unlink(missing_ok=True)
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write(file)
        os.fsync(file)
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)


@dataclass(frozen=True)
class Copy:
    """The copy that a group is to have. names: of its capabilities."""

    folder: Path
    installation: Installation
    gid: int
    group: str
    names: tuple[str, ...]

    @property
    def interpreter(self) -> Path:
        return self.folder / "bin" / "python3"

    @property
    def command(self) -> Path:
        return self.folder / "bin" / "zcframe"

    @property
    def _settings(self) -> Path:
        return self.folder / "pyvenv.cfg"

    @property
    def right(self) -> str:
        """The capabilities as setcap(8) writes them."""
        return ",".join(name.lower() for name in self.names) + "=ep"

    def is_ours(self) -> bool:
        """Whether a former call made the folder."""
        try:
            return MARK in self._settings.read_text()
        except OSError:
            return False

    def check_place(self) -> None:
        """Refuse a folder that something else lies in, or where the copy would not work. Raises SetupError."""
        if " " in str(self.folder) or len(f"#!{self.interpreter} -I") > LONGEST_LINE:
            raise SetupError(
                f"--dir {self.folder}: a script can name no interpreter there: take a short path, no blanks"
            )
        left_over = {_fresh(self._settings)}
        if self.folder.exists() and not self.is_ours() and set(self.folder.iterdir()) - left_over:
            raise SetupError(f"--dir {self.folder}: something else lies there; name an empty folder")
        there = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        if os.statvfs(there).f_flag & (os.ST_NOSUID | os.ST_NOEXEC):
            raise SetupError(
                f"--dir {self.folder}: its file system is mounted nosuid or noexec, and gives no capability"
            )

    # --- make

    def steps(self) -> list[Step]:
        """All that has to be there: first what tells that the folder is ours, the interpreter last."""
        links = {self.folder / name: self.installation.libraries.get(name) for name in LIBRARIES}
        return [
            self._folder_step(self.folder),
            self._file_step(self._settings, self.installation.settings + MARK, 0o644),
            self._folder_step(self.folder / "bin"),
            *(self._link_step(path, target) for path, target in links.items()),
            self._file_step(self.command, LAUNCHER.format(interpreter=self.interpreter), 0o755),
            self._interpreter_step(),
        ]

    def _folder_step(self, path: Path) -> Step:
        def make() -> None:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o755)

        return Step(f"make the folder {path}", path.is_dir, make)

    def _link_step(self, path: Path, target: Path | None) -> Step:
        def lead() -> None:
            path.unlink(missing_ok=True)
            if target is not None:
                path.symlink_to(target)

        def leads() -> bool:
            return path.is_symlink() == (target is not None) and (target is None or path.readlink() == target)

        text = f"have {path} lead to {target}" if target is not None else f"remove {path}"
        return Step(text, leads, lead)

    def _file_step(self, path: Path, text: str, mode: int) -> Step:
        def write(file: int) -> None:
            os.write(file, text.encode())
            os.fchown(file, 0, 0)
            os.fchmod(file, mode)

        def written() -> bool:
            return path.is_file() and path.read_text() == text and stat.S_IMODE(path.stat().st_mode) == mode

        return Step(f"write {path}", written, lambda: _replace(path, write))

    def _interpreter_step(self) -> Step:
        source, path = self.installation.interpreter, self.interpreter
        text = f"copy {source} to {path}, root:{self.group}, mode 0750, {self.right}"
        return Step(text, self._is_complete, lambda: _replace(path, self._write_interpreter))

    def _write_interpreter(self, file: int) -> None:
        with open(self.installation.interpreter, "rb") as source, os.fdopen(os.dup(file), "wb") as copy:
            shutil.copyfileobj(source, copy)
        # In this order: a change of the owner, or of what is in the file, takes its capabilities away.
        os.fchown(file, 0, self.gid)
        os.fchmod(file, 0o750)
        store(file, self.names)

    def _is_complete(self) -> bool:
        try:
            info = self.interpreter.lstat()
        except OSError:
            return False
        right = (info.st_uid, info.st_gid, info.st_mode) == (0, self.gid, stat.S_IFREG | 0o750)
        if not right or stored(str(self.interpreter)) != packed(self.names):
            return False
        try:
            return filecmp.cmp(self.interpreter, self.installation.interpreter, shallow=False)
        except PermissionError:
            # Somebody outside the group asks what would be done.
            return True

    # --- and back

    def _made(self) -> Iterator[Path]:
        """Files and links that a call makes, what a call that was killed left over among them."""
        for path in (self.interpreter, self.command, self._settings):
            yield from (path, _fresh(path))
        yield from (self.folder / name for name in LIBRARIES)

    def remove(self) -> list[Path]:
        """Remove what a call made, the interpreter first; what was removed. Other files stay. Raises OSError."""
        removed = []
        for path in self._made():
            if path.is_symlink() or path.is_file():
                path.unlink()
                removed.append(path)
        for path in (self.folder / "bin", self.folder):
            with suppress(OSError):
                path.rmdir()
        return removed
