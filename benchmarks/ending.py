"""How a bench ends: by the exit code of its main(), or by Ctrl-C in a line, when all that it started has ended."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED = 130


def exit_by(main: Callable[[], int]) -> NoReturn:
    """Never returns."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        sys.exit(INTERRUPTED)
