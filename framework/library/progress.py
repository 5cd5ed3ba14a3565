"""A bar of how far a run is, in a terminal or a notebook: tqdm's, which knows how to draw in either."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .handle import Run


class Bar:
    """Bytes of the files where their size is known, packets where no end is. Raises ImportError without tqdm."""

    def __init__(self) -> None:
        try:
            with warnings.catch_warnings():
                # In a notebook without widgets, tqdm draws with characters, and warns of it.
                warnings.simplefilter("ignore")
                from tqdm.auto import tqdm
        except ImportError:
            raise ImportError("progress=True needs tqdm: pip install tqdm") from None
        self._make = tqdm
        self._bar: Any = None

    def show(self, run: Run) -> None:
        """Draw where the run is."""
        at = run.progress
        if at is None:
            return
        if self._bar is None:
            self._bar = self._made(at.whole)
        self._bar.set_postfix(packets=f"{at.packets:,}", refresh=False)
        self._bar.update((at.done if at.whole else at.packets) - self._bar.n)

    def _made(self, whole: int) -> Any:
        if whole:
            return self._make(total=whole, unit="B", unit_scale=True, desc="zcframe")
        return self._make(unit="packets", unit_scale=True, desc="zcframe")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
