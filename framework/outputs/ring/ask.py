"""What a ring says of itself and its readers."""

from __future__ import annotations

import json
from typing import Any

from zcframe.framework.errors import OutputError

from .door import open_socket

ANSWER = 1 << 16
PATIENCE_S = 5.0


def ask(path: str) -> dict[str, Any] | None:
    """The answer of the run behind a socket; None where there is none any more. Raises OutputError."""
    with open_socket() as asking:
        try:
            asking.settimeout(PATIENCE_S)
            asking.connect(path)
            asking.send(b"list")
            found: dict[str, Any] = json.loads(asking.recv(ANSWER))
        except ConnectionRefusedError:
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its run does not answer"
            raise OutputError(f"{path}: {reason}") from error
    return found
