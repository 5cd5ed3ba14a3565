"""The installed plugins in text: what `zcframe plugins` prints."""

from __future__ import annotations

from collections.abc import Iterator

from zcframe.framework.chain.catalog import PluginInfo
from zcframe.framework.terminal import clean


def _indented(text: str, by: int) -> list[str]:
    return [f"{'':{by}}{line}".rstrip() for line in text.splitlines()]


def plugin_doc_lines(info: PluginInfo) -> Iterator[str]:
    """Name and origin, the documentation, then each parameter with its default."""
    yield f"{info.name}  ({info.origin})"
    yield from _indented(info.doc, 4)
    if info.fault:
        yield from _indented(clean(info.fault), 4)
    for param in info.params:
        yield f"      ?{param.name}={param.default}"
        yield from _indented(param.doc, 10)
