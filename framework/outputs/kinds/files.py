"""Outputs that write files, or standard output: how the first one is made, and what is refused."""

from __future__ import annotations

import os
import pwd
import stat
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from zcframe.framework.errors import OutputError
from zcframe.framework.outputs.options import count, size, user
from zcframe.framework.outputs.output import STDOUT, Output
from zcframe.framework.outputs.sink import Place, Sink

from .file import FileSink, Form, Names, Note, PipeSink, Tail


class Files(Output):
    """Files, or standard output: `-`. head: bytes at the beginning of each."""

    options: ClassVar[Mapping[str, Callable[[str], Any]]] = {
        "size": size,
        "seconds": count,
        "files": count,
        "user": user,
    }

    @property
    def _head(self) -> bytes:
        return b""

    _tail: Tail | None = None
    _note: Note | None = None

    @property
    def _form(self) -> Form | None:
        return None

    def _names(self, stream: int) -> Names:
        chosen = self.spec.options
        return Names(self.target_of(stream), *(chosen.get(name, 0) for name in ("size", "seconds", "files")))

    def open(self) -> None:
        options = self.spec.options
        if "files" in options and "size" not in options:
            raise self.refuse("files= keeps so many files of a size: give size=, too")
        if self.spec.target == STDOUT:
            if options.keys() & Files.options.keys():
                raise self.refuse("standard output is one file, of no user")
            self._open_stdout()
            return
        for stream in range(self.streams.number):
            self._open_file(self._names(stream))

    def _open_stdout(self) -> None:
        if os.isatty(sys.stdout.fileno()):
            raise self.refuse("standard output is a terminal: send it to a file or a pipe")

    def _open_file(self, names: Names) -> None:
        """Make the first file, empty, or see that it can be made, so that what is wrong is told before the start."""
        path = names.of(Place(opened=1))
        try:
            if names.seconds:
                self._look_at_folder(os.path.dirname(path) or ".")
                return
            self._refuse_special(path)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            if self.user:
                owner = pwd.getpwnam(self.user)
                os.fchown(fd, owner.pw_uid, owner.pw_gid)
            os.close(fd)
        except OSError as error:
            raise OutputError(f"{self.prefix}{path}: {error.strerror}") from error

    def _look_at_folder(self, folder: str) -> None:
        if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
            raise OSError(0, f"no files can be made in {folder}")

    def _refuse_special(self, path: str) -> None:
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISFIFO(mode):
            raise self._refuse_fifo(path)
        if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
            raise self.refuse(f"{path} is no file")

    def _refuse_fifo(self, path: str) -> Exception:
        return self.refuse(f"{path} is a FIFO: fifo:{path} writes to it")

    def sink(self, stream: int) -> Sink:
        target = self.target_of(stream)
        if target == STDOUT or (os.path.exists(target) and not os.path.isfile(target)):
            return PipeSink(target, self._head, self._tail, self._note, self._form)
        return FileSink(self._names(stream), self._head, self._tail, self._note, self._form)
