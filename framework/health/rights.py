"""Check of what workers keep of the rights of this process."""

from __future__ import annotations

import re
from typing import Final

from zcframe.framework.privileges import kept_line

from .check import Check
from .host import Host


def workers(host: Host) -> Check:
    """Workers capture in any case: a warning where a container or a user namespace does not let them become nobody."""
    kept = host.kept_by_workers()
    if not kept:
        return Check("workers", "ok", "they give up every right before their first frame")
    missing = dict.fromkeys(re.findall(r"CAP_(\w+)", " ".join(kept)))
    remedy = " ".join(f"--cap-add {name}" for name in missing)
    return Check("workers", "warn", kept_line(kept), f"{remedy} for a container" if remedy else "")


CHECKS: Final = (workers,)
