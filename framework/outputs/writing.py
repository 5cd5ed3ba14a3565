"""Handing over what was asked for: all of it arrives on its stream, or an error names what is missing."""

from __future__ import annotations

import errno
from typing import TextIO

from zcframe.framework import streams
from zcframe.framework.errors import ZcframeError
from zcframe.framework.terminal import SUBSTITUTE

# The reader has gone, or the terminal has: nobody wants the rest.
LEFT = (errno.EPIPE, errno.EIO, errno.ENXIO)


def _encodable(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, SUBSTITUTE).decode(encoding)


def hand_over(text: str, stream: TextIO, what: str, *, wanted: bool) -> None:
    """Write all of it, for as long as the reader takes. Raises ZcframeError where it does not arrive.

    wanted: also where its reader has left, as the reader of a document must not and that of a text may.
    """
    try:
        streams.settle()
        stream.write(text if isinstance(stream, streams.Outlet) else _encodable(text, stream))
        stream.flush()
    except KeyboardInterrupt:
        raise ZcframeError(f"{what} was not written whole: interrupted before its reader had taken it") from None
    except OSError as error:
        if wanted or error.errno not in LEFT:
            raise ZcframeError(f"{what} could not be written to stdout: {error.strerror}") from error
