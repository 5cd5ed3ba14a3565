"""The files of a replay, looked at before anything runs: what can be replayed, and what keeps the others from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zcframe.framework.errors import CaptureFileError, CaptureOpenError, LinkTypeError, UsageError, ZcframeError
from zcframe.framework.sources.capture import CaptureReader


@dataclass
class ReplayFiles:
    """What is known of the files before the first frame.

    link_types: names. size: bytes of the regular ones that can be replayed. packed: whether any is compressed. streams:
    open readers of those that cannot be opened again, by their place. broken: by place, why a file is no capture.
    hopeless: by place, why no record of a capture can be decoded. samples: place of the first capture of each kind.
    """

    link_types: tuple[str, ...] = ()
    size: int = 0
    packed: bool = False
    streams: dict[int, CaptureReader] = field(default_factory=dict)
    broken: dict[int, ZcframeError] = field(default_factory=dict)
    hopeless: dict[int, ZcframeError] = field(default_factory=dict)
    samples: dict[tuple[str, bool], int] = field(default_factory=dict)

    def add(self, index: int, path: str) -> None:
        """Look at a file. Raises CaptureOpenError where it cannot be opened."""
        try:
            reader = CaptureReader(path)
        except CaptureOpenError:
            raise
        except CaptureFileError as error:
            self.broken[index] = error
            return
        self.link_types = tuple(dict.fromkeys((*self.link_types, *reader.link_types)))
        self.size += reader.window.size
        self.packed |= reader.window.packed
        self.samples.setdefault(reader.kind, index)
        if reader.refusal:
            self.hopeless[index] = reader.refusal
        if reader.window.regular:
            reader.close()
        else:
            self.streams[index] = reader

    def close(self) -> None:
        for reader in self.streams.values():
            reader.close()
        self.streams.clear()


def _joined(errors: Sequence[ZcframeError]) -> ZcframeError:
    """One error of several: each text once."""
    text = "; ".join(dict.fromkeys(map(str, errors)))
    return LinkTypeError(text) if all(isinstance(e, LinkTypeError) for e in errors) else CaptureFileError(text)


def look_at(paths: Sequence[str], *, loop: int) -> ReplayFiles:
    """Look at every file of a replay.

    Raises CaptureOpenError for names that cannot be opened: what the command gets wrong is refused at once. A file
    that is no capture does not keep the others from being read: CaptureFileError or LinkTypeError only where nothing
    is left that can be decoded. UsageError where a pipe is to be read again.
    """
    files, unopened = ReplayFiles(), []
    try:
        for index, path in enumerate(paths):
            try:
                files.add(index, path)
            except CaptureOpenError as error:
                unopened.append(str(error))
        if unopened:
            raise CaptureOpenError("; ".join(dict.fromkeys(unopened)))
        if len(files.broken | files.hopeless) == len(paths):
            raise _joined([error for _, error in sorted((files.broken | files.hopeless).items())])
        for reader in files.streams.values():
            if loop != 1:
                raise UsageError(f"--loop {loop}: {reader.window.label} is no file and can be read only once")
    except BaseException:
        files.close()
        raise
    return files
