"""An order to a run, and its answer."""

from __future__ import annotations

import json

from zcframe.framework.errors import ZcframeError

from .door import open_socket


def ask(path: str, order: str) -> str:
    """The line that the run behind a socket answers; waits for it. Raises ZcframeError."""
    with open_socket() as asking:
        try:
            asking.connect(path)
            asking.sendall(f"{order}\n".encode())
            with asking.makefile("rb") as answers:
                line = answers.readline()
        except ConnectionRefusedError:
            raise ZcframeError(f"{path}: no run listens there") from None
        except OSError as error:
            raise ZcframeError(f"{path}: {error.strerror or error}") from error
    if not line.endswith(b"\n"):
        raise ZcframeError(f"{path}: the run is gone, and did not answer")
    text = line.decode().rstrip("\n")
    _require(path, text)
    return text


def _require(path: str, text: str) -> None:
    """Raises ZcframeError for a refusal, and for what is no answer of a run."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ZcframeError(f"{path}: what listens there is no run of zcframe")
    if "error" in found:
        raise ZcframeError(f"{path}: {found['error']}")
