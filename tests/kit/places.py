"""Folders and files that tests need, wherever the checkout lies."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
BUNDLED: Final = ROOT / "framework" / "sources" / "trace" / "bundled.pcapng"
ANALYZERS: Final = Path(__file__).parent / "analyzers"
