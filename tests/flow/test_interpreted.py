"""Flows as plain Python has them: what they tell is what compiled code is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flow.analyzers import Streams, Told
from tests.kit.places import BUNDLED
from zcframe import PASS, Flows, plugin, u64
from zcframe.framework.errors import DeclarationError, PluginCompileError
from zcframe.framework.workbench.frames import read_frames
from zcframe.testing import interpret_plugin, run_plugin, udp


@pytest.mark.long
@pytest.mark.parametrize("plugged", [Told, Streams])
def test_the_states_are_those_of_compiled_code(plugged: type) -> None:
    frames = [(ts, data) for ts, data in read_frames(BUNDLED)[:1500].pairs()]
    found, expected = interpret_plugin(plugged, frames), run_plugin(plugged, frames)
    assert found.report == expected.report and not found.faults
    assert len(found.state.flows) > 100


MISTAKES = {
    "state.flows.upsert(1)": "flows.upsert(): a flow comes of its packet, f = state.flows.of(pkt)",
    "state.flows.off(pkt)": "the Flows flows have no off: they have of(pkt)",
    "state.flows.of(1)": "flows.of() takes pkt",
    "f.gap": "gap of flows: no bytes are kept: declare Flows(..., stream=4096)",
    "f.stream(pkt)": "stream() of flows: no bytes are kept: declare Flows(..., stream=4096)",
    "f.forwards": "a row of flows has no field forwards; did you mean forward?",
    "f.bites": "a row of flows has no field bites; did you mean bytes?",
    "f.last_ns = 1": "last_ns of a flow of flows is kept by the table: it cannot be set",
    "f.bytes = 0.5": "bytes of a row of flows is u64: it takes a whole number: cut a float with int(), or divide with //",
}

TEXT = """\
from zcframe import PASS, Flows, plugin, u64

@plugin
class Wrong:
    flows = Flows({{"bytes": u64}})

    def filter(pkt, state, params):
        f = state.flows.of(pkt)
        {}
        return PASS
"""


@pytest.mark.long
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(tmp_path: Path, mistake: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(TEXT.format(mistake))
    with pytest.raises(PluginCompileError) as told:
        run_plugin(str(path), [udp()])
    assert f"wrong.py:9: {MISTAKES[mistake]}" in str(told.value)


def test_ahead_has_no_flows(tmp_path: Path) -> None:
    @plugin
    class Early:
        flows = Flows({"bytes": u64})

        def ahead(pkt, state, params):  # type: ignore[no-untyped-def]
            return state.flows.of(pkt).bytes

        def filter(pkt, state, params, ahead):  # type: ignore[no-untyped-def]
            return PASS

    with pytest.raises(PluginCompileError, match=r"cannot call flows\.of\(\)"):
        run_plugin(Early, [udp()])


@pytest.mark.parametrize(
    ("value", "more", "message"),
    [
        ({"src": u64}, {}, "Flows keep 'src' of each flow themselves"),
        ({"gap": u64}, {}, "Flows keep 'gap'"),
        ({"new": u64}, {}, "cannot have a field 'new'"),
        ({}, {"stream": 10_000}, "0 to 8192 bytes of each direction"),
        ({}, {"idle": -1}, "seconds are needed"),
        ([], {}, "fields by name"),
    ],
)
def test_declarations(value: object, more: dict[str, int], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        Flows(value, **more)  # type: ignore[arg-type]
