"""What a run compiles: only what is not in the cache, each plugin by itself, in processes that leave nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from tests.kit.command import PATIENCE, PROGRAM, environment, until

PLUGIN = """
from zcframe import PASS, Array, Table, plugin, u32, u64

def {name}_step(pkt):
    return {step}

@plugin
class {name}:
    counts = Array(u64, 1)
    rows = Table(key={{"bucket": u64}}, value={fields}, capacity=2048)

    def filter(pkt, state, params):
        state.counts[0] += 1
        row = state.rows.upsert(pkt.bucket)
        if row:
            row.total += {name}_step(pkt)
        return PASS

    def report(state, params):
        return {{"packets": int(state.counts.sum()), "total": int(state.rows["total"].sum())}}
"""
# The same field lies at other places.
ONE, TWO = '{"total": u64}', '{"before": u32, "total": u64}'

BUILD = """
import os
import sys
from numba.core import event
from zcframe.framework.chain.bound import bind
from zcframe.framework.chain.build import build_chain
from zcframe.framework.chain.spec import parse_spec
from zcframe.framework.worker.loop import entry_points

class Listener(event.Listener):
    def on_start(self, event):
        # At once: several processes write.
        os.write(1, event.data["dispatcher"].py_func.__qualname__.encode() + b"\\n")
    def on_end(self, event):
        pass

event.register("numba:compile", Listener())
specs = [parse_spec(text) for text in sys.argv[1:]]
build_chain([bind(spec.declared, spec.params, 1) for spec in specs], entry_points(verifying=False))
"""


# Names of the parts that numba made something of.
MADE = """
import gc
from zcframe.framework.jit.compiler import Part

for part in gc.get_objects():
    if type(part) is Part and "dispatcher" in vars(part):
        print(part.__qualname__)
"""


def write(folder: Path, name: str, step: str = "pkt.wirelen", fields: str = ONE) -> str:
    """A plugin file that counts packets and sums `step`; returns its SPEC."""
    path = folder / f"{name}.py"
    path.write_text(PLUGIN.format(name=name, step=step, fields=fields))
    return str(path)


def compiled(cache: Path, *specs: str, program: str = BUILD) -> list[str]:
    """Names of the functions that a process compiles for a chain of these plugins and for a worker."""
    done = subprocess.run(
        [sys.executable, "-c", program, *specs],
        env=environment(XDG_CACHE_HOME=str(cache)),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return done.stdout.split()


def run(cache: Path, specs: Sequence[str]) -> tuple[str, dict[str, dict[str, int]]]:
    """The command on one round of the bundled trace: its stderr, and each plugin's report."""
    chosen = [word for spec in specs for word in ("--plugin", spec)]
    done = subprocess.run(
        [*PROGRAM, "run", "--json", "--queues", "1", "--loop", "1", "--speed", "max", *chosen],
        env=environment(XDG_CACHE_HOME=str(cache)),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return done.stderr, json.loads(done.stdout)["plugins"]


@pytest.mark.long
def test_a_plugin_that_changed_is_compiled_and_the_others_are_not(tmp_path: Path) -> None:
    one, two = write(tmp_path, "one"), write(tmp_path, "two")
    everything = compiled(tmp_path, one, two)
    assert {"one_step", "two_step", "decode", "recover", "chain"} <= set(everything)
    write(tmp_path, "two", "pkt.wirelen + 1")
    again = compiled(tmp_path, one, two)
    assert {"two_step", "two.filter", "chain"} <= set(again)
    assert not {"one_step", "one.filter", "decode", "recover", "arm"} & set(again)
    assert compiled(tmp_path, one, two) == []


def test_a_start_from_the_cache_hands_numba_no_part(tmp_path: Path) -> None:
    one = write(tmp_path, "one")
    assert {"one.filter", "one_step", "decode"} <= set(compiled(tmp_path, one, program=BUILD + MADE))
    assert compiled(tmp_path, one, program=BUILD + MADE) == []


@pytest.mark.long
def test_plugins_in_another_order_are_linked_and_not_compiled(tmp_path: Path) -> None:
    one, two = write(tmp_path, "one"), write(tmp_path, "two")
    compiled(tmp_path, one, two)
    again = compiled(tmp_path, two, one)
    assert "chain" in again
    assert not {"one_step", "two_step", "one.filter", "two.filter", "decode"} & set(again)


@pytest.mark.long
def test_parts_of_several_processes_do_not_take_each_others_functions(tmp_path: Path) -> None:
    """numba numbers functions in each process from 0: two that it gave one name must not become one."""
    one, two = write(tmp_path, "one"), write(tmp_path, "two", "pkt.caplen + 3", TWO)
    _, first = run(tmp_path, [one])
    _, second = run(tmp_path, [two])
    stderr, both = run(tmp_path, [one, two])
    assert "compiling chain: " in stderr
    assert both == first | second
    assert first["one"]["packets"] == second["two"]["packets"] > 0
    assert first["one"]["total"] != second["two"]["total"]


@pytest.mark.long
def test_a_line_says_what_is_compiled_as_often_as_that_happens(tmp_path: Path) -> None:
    one = write(tmp_path, "one")
    told = "zcframe: compiling zcframe, one: this takes some seconds, once\n"
    assert [run(tmp_path, [one])[0].count(told), run(tmp_path, [one])[0].count("compiling")] == [1, 0]


@pytest.mark.long
def test_a_part_that_a_full_disk_cut_short_is_compiled_again(tmp_path: Path) -> None:
    one, two = write(tmp_path, "one"), write(tmp_path, "two")
    compiled(tmp_path, one, two)
    for part in tmp_path.glob("zcframe/*/parts/part_*"):
        part.write_bytes(part.read_bytes()[:1000])
    assert "one.filter" in compiled(tmp_path, two, one)


def start(cache: Path, *specs: str) -> subprocess.Popen[str]:
    """The command with nothing in the cache."""
    chosen = [word for spec in specs for word in ("--plugin", spec)]
    return subprocess.Popen(
        [*PROGRAM, "run", "--loop", "1", *chosen],
        env=environment(XDG_CACHE_HOME=str(cache)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if child.name() == "zc-compiler"]


@pytest.mark.skipif(psutil.cpu_count() == 1, reason="one CPU compiles alone")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_end_while_it_compiles_leaves_no_process(tmp_path: Path, number: int) -> None:
    process = start(tmp_path, write(tmp_path, "one"), write(tmp_path, "two"))
    left = until(lambda: children(process), what="no compiler")
    process.send_signal(number)
    _, stderr = process.communicate(timeout=PATIENCE)
    until(lambda: not any(child.is_running() for child in left), 10.0, "a compiler is left")
    if number == signal.SIGINT:
        assert (process.returncode, stderr.splitlines()[-1]) == (0, "zcframe: ended before the first packet")


@pytest.mark.long
def test_one_of_several_that_does_not_compile_is_told_in_one_line(tmp_path: Path) -> None:
    bad = write(tmp_path, "bad", "pkt.wirelength")
    process = start(tmp_path, write(tmp_path, "one"), bad, write(tmp_path, "two"))
    stdout, stderr = process.communicate(timeout=PATIENCE)
    told, why, more = stderr.splitlines()
    assert (process.returncode, stdout, more) == (1, "", "zcframe: -v shows more")
    assert told.startswith("zcframe: compiling ")
    assert why.startswith(f"zcframe: plugin bad does not compile: {bad}:5: pkt has no attribute wirelength")


@pytest.mark.long
def test_without_a_cache_everything_is_compiled_in_one_process(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    one = write(tmp_path, "one")
    stderr, reports = run(place, [one])
    assert "compiled code is not kept" in stderr
    assert reports["one"]["packets"] > 0
