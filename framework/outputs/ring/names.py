"""Where the sockets of rings lie: a name of its own is one in the folder of this user, or of root; a path is a path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from zcframe.framework.errors import OutputError

SUFFIX: Final = ".sock"
# sun_path of sockaddr_un, without the zero at its end.
LONGEST: Final = 107
ROOTS: Final = Path("/run/zcframe")


def own_folder() -> Path:
    """Folder of the rings of this user."""
    if os.geteuid() == 0:
        return ROOTS
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime, "zcframe") if runtime else Path(f"/tmp/zcframe-{os.geteuid()}")


def path_of(name: str) -> str:
    """Path of the socket of a ring."""
    return name if "/" in name else str(own_folder() / f"{name}{SUFFIX}")


def make_folder(path: str) -> None:
    """Make the folder of a socket, where it is ours to make. Raises OutputError."""
    folder = Path(path).parent
    if folder != own_folder():
        return
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}") from error
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OutputError(f"{folder} is writable for others: remove it, or name a path of your own")


def sockets() -> list[Path]:
    """Sockets of this user's rings, and of root's."""
    folders = dict.fromkeys((own_folder(), ROOTS))
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.glob(f"*{SUFFIX}"))]
