"""`python -m tests.face`: store the face of the present code."""

from __future__ import annotations

from .api import api
from .command import command
from .document import documents
from .header import header
from .store import store

for part, take in {"api": api, "command": command, "documents": documents, "header": header}.items():
    store(part, take())
