"""Whether files can be changed only by those who may run the copy anyway."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

# The kernel follows no more symbolic links than this (path_resolution(7)).
MOST_LINKS: Final = 40


class Trust:
    """Who may own what is run: root, and the members of a group (None: root alone), who hold its rights anyway.

    owners: members that were found to own something.
    """

    def __init__(self, gid: int | None) -> None:
        self._gid = gid
        self._known = {0: True}
        self.owners: set[str] = set()

    def _trusted(self, uid: int) -> bool:
        if uid not in self._known:
            self._known[uid] = self._is_member(uid)
        return self._known[uid]

    def _is_member(self, uid: int) -> bool:
        try:
            user = pwd.getpwuid(uid)
        except KeyError:
            return False
        if self._gid is None or self._gid not in os.getgrouplist(user.pw_name, user.pw_gid):
            return False
        self.owners.add(user.pw_name)
        return True

    def _fault(self, path: Path, info: os.stat_result, *, sticky: bool) -> str:
        """What is wrong with one file or folder. sticky: whether that bit protects what we look for in the folder."""
        if not self._trusted(info.st_uid):
            return f"{path} belongs to {_user(info.st_uid)}"
        if stat.S_ISLNK(info.st_mode) or (sticky and info.st_mode & stat.S_ISVTX):
            return ""
        if info.st_mode & stat.S_IWOTH:
            return f"anybody may write to {path} (chmod o-w)"
        if info.st_mode & stat.S_IWGRP and info.st_gid not in (0, self._gid):
            return f"group {_group(info.st_gid)} may write to {path} (chmod g-w)"
        return ""

    def fault_on_way(self, path: Path, links: int = MOST_LINKS) -> str:
        """What is wrong with a file or folder, or with a folder or a symbolic link on the way to it; "" for nothing."""
        path = Path(os.path.abspath(path))
        for part in (*reversed(path.parents), path):
            try:
                info = os.lstat(part)
            except FileNotFoundError:
                return ""
            if fault := self._fault(part, info, sticky=part != path):
                return fault
            if stat.S_ISLNK(info.st_mode):
                if not links:
                    return f"{part} is a symbolic link that leads nowhere"
                rest = path.relative_to(part)
                return self.fault_on_way(part.parent / os.readlink(part) / rest, links - 1)
        return ""

    def fault_within(self, folders: Iterable[Path]) -> str:
        """What is wrong with the first file in these folders, or on the way to one, that is not safe."""
        seen: set[Path] = set()
        for folder in folders:
            if fault := self.fault_on_way(folder) or next(self._faults(folder.resolve(), seen), ""):
                return fault
        return ""

    def _faults(self, folder: Path, seen: set[Path]) -> Iterator[str]:
        if folder in seen or not folder.is_dir():
            return
        seen.add(folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                path, info = Path(entry.path), entry.stat(follow_symlinks=False)
                if stat.S_ISLNK(info.st_mode):
                    yield from filter(None, [self.fault_on_way(path)])
                    yield from self._faults(path.resolve(), seen)
                    continue
                yield from filter(None, [self._fault(path, info, sticky=False)])
                if stat.S_ISDIR(info.st_mode):
                    yield from self._faults(path, seen)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user id {uid}"


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
