"""The stored snapshots: one JSON file for each part of the face, sorted, so that a difference reads well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "snapshots"


def stored(part: str) -> Any:
    return json.loads((FOLDER / f"{part}.json").read_text())


def store(part: str, face: Any) -> None:
    (FOLDER / f"{part}.json").write_text(json.dumps(face, indent=1, sort_keys=True) + "\n")
