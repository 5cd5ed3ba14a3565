"""Records read back from a file that `--rows json:FILE` wrote, with values as a program wants them."""

from __future__ import annotations

import gzip
import ipaddress
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from zcframe.framework.errors import ZcframeError
from zcframe.framework.state.kinds import Addr, Kind, Octets, text
from zcframe.framework.state.records import RECORD

from .kind import RecordKind


def _zstd(path: Path) -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.open(path, "rb")


OPENERS: Final[dict[str, Callable[[Path], Any]]] = {"": lambda path: path.open("rb"), ".gz": gzip.open, ".zst": _zstd}


def _value(kind: Kind) -> Callable[[Any], Any] | None:
    """What makes a value of what stands in a line; None: that is the value."""
    if isinstance(kind, Addr):
        return ipaddress.ip_address
    return bytes.fromhex if isinstance(kind, Octets) and not isinstance(kind, text) else None


def read_rows(path: str | Path, kinds: Sequence[RecordKind] = (), name: str = "") -> Iterator[dict[str, Any]]:
    """The records of a file, in its order, as dicts by field; the name of its kind is in "record".

    kinds: of record in the run, as `record_kinds(plugins)` gives them; then addresses are those of ipaddress, and blobs
    bytes. Without them both are as they stand in the file. name: "PLUGIN.RECORDS", for records of that kind only.
    Raises ZcframeError for a file that cannot be read, and for a line that is no record.
    """
    made = {kind.name: [(field, _value(form)) for field, form in kind.fields] for kind in kinds}
    path = Path(path)
    try:
        with OPENERS.get(path.suffix, OPENERS[""])(path) as file:
            for number, line in enumerate(file, 1):
                row = _row(path, number, line)
                if name and row[RECORD] != name:
                    continue
                for field, make in made.get(row[RECORD], ()):
                    row[field] = make(row[field]) if make is not None else row[field]
                yield row
    except (OSError, EOFError) as error:
        raise ZcframeError(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from error


def _row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or not isinstance(row.get(RECORD), str):
        raise ZcframeError(f"{path}: line {number} is no record")
    return row
