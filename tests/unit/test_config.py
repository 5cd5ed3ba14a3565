"""Where an option's value comes from, and what is said of a wrong one."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from zcframe.framework.config import OPTIONS, RunConfig, load
from zcframe.framework.errors import UsageError
from zcframe.framework.nearest import hint, nearest, offer


def from_file(folder: Path, text: str, **given: Any) -> RunConfig:
    path = folder / "zc.toml"
    path.write_text(text)
    return load({"config": str(path), **given})


def refusal(given: dict[str, Any]) -> str:
    with pytest.raises(UsageError) as caught:
        load(given)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_defaults_are_the_bundled_trace_for_ever_at_100_kpps() -> None:
    config = load({})
    assert config.bundled
    assert (config.queues, config.loop, config.pps, config.speed) == (8, 0, 100_000.0, None)
    assert (config.rss_key, config.rss_fields, config.plugins) == ("symmetric", "5-tuple", ("flows", "sizes"))
    assert (config.ring_slots, config.cpus, config.max_loss, config.stats_interval) == (4096, "auto", None, None)


def test_files_are_read_once_at_full_speed() -> None:
    config = load({"read": ["a.pcap", "b.pcap"]})
    assert (config.read, config.loop, config.pps, config.speed) == (("a.pcap", "b.pcap"), 1, None, "max")
    assert not config.bundled


@pytest.mark.parametrize(
    ("given", "pace"),
    [
        ({"read": ["a"], "pps": "250k"}, (1, 250_000.0, None)),
        ({"read": ["a"], "pps": "1.5M"}, (1, 1_500_000.0, None)),
        ({"read": ["a"], "speed": "original", "loop": "3"}, (3, None, "original")),
        ({"read": ["a"], "loop": "0"}, (0, None, "max")),
        ({"speed": "max"}, (0, None, "max")),
        ({"pps": "10", "loop": "2"}, (2, 10.0, None)),
    ],
)
def test_pace_and_rounds(given: dict[str, Any], pace: tuple[int, float | None, str | None]) -> None:
    config = load(given)
    assert (config.loop, config.pps, config.speed) == pace


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"queues": "0"}, "--queues 0: at least one receive queue is needed"),
        ({"queues": "17"}, "--queues 17: zcframe has at most 16"),
        ({"queues": "-3"}, "--queues -3: at least one"),
        ({"queues": "eight"}, "--queues eight: a whole number is needed"),
        ({"queues": "8.0"}, "--queues 8.0: a whole number is needed"),
        ({"queues": "9" * 5000}, "a whole number is needed"),
        ({"ring_slots": "32"}, "--ring-slots 32: a power of two from 64 to 65536 is needed"),
        ({"ring_slots": "1000"}, "a power of two"),
        ({"ring_slots": "131072"}, "a power of two"),
        ({"pps": "0"}, "--pps 0: the rate must be above 0"),
        ({"pps": "k"}, "--pps k: a number is needed"),
        ({"pps": "nan"}, "a number is needed"),
        ({"pps": "inf"}, "a number is needed"),
        ({"pps": "1", "speed": "max"}, "--pps and --speed both set the pace: give one of them"),
        ({"iface": "zc0", "read": ["a"]}, "--iface zc0 and --read: an interface is not replayed, give one of them"),
        ({"iface": "zc0", "speed": "max"}, "--iface zc0 and --speed: an interface is not replayed, give one of them"),
        ({"tune": True}, "--tune: only live capture has it, name an --iface"),
        ({"iface": ""}, "--iface : a name, or a list of names, is needed"),
        ({"speed": "fast"}, "--speed fast: original or max is needed"),
        ({"rss_fields": "ports"}, "--rss-fields ports: ip-pair or 5-tuple is needed"),
        ({"max_loss": "1.5"}, "--max-loss 1.5: a fraction from 0 to 1 is needed"),
        ({"max_loss": "-0.1"}, "a fraction from 0 to 1"),
        ({"drain": "-1"}, "--drain -1: 0 or more seconds are needed, inf for no limit"),
        ({"drain": "-inf"}, "--drain -inf: a number is needed"),
        ({"drain": "nan"}, "--drain nan: a number is needed"),
        ({"drain": "soon"}, "--drain soon: a number is needed"),
        ({"duration": "0"}, "--duration 0: the duration must be above 0"),
        ({"count": "0"}, "--count 0: at least one packet is needed"),
        ({"stats_interval": "0"}, "the interval must be above 0"),
        ({"loop": "-1"}, "a number of rounds is needed"),
        ({"read": [""]}, "--read : a name, or a list of names, is needed"),
        ({"config": "nowhere.toml"}, "--config nowhere.toml: No such file or directory"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(given: dict[str, Any], said: str) -> None:
    assert said in refusal(given)


@pytest.mark.parametrize(
    ("given", "seconds"), [(None, 1.5), ("0", 0.0), ("2.5", 2.5), ("inf", math.inf), ("INF", math.inf)]
)
def test_seconds_to_drain(given: str | None, seconds: float) -> None:
    assert load({} if given is None else {"drain": given}).drain == seconds


def test_a_drain_without_end_stands_in_a_file(tmp_path: Path) -> None:
    assert from_file(tmp_path, "drain = inf\n").drain == math.inf
    assert from_file(tmp_path, "drain = 3\n").drain == 3.0


def test_every_option_stands_in_a_file_in_its_own_type(tmp_path: Path) -> None:
    config = from_file(
        tmp_path,
        'queues = 4\nread = ["a.pcap", "-"]\nloop = 2\npps = 1000\n'
        'plugin = ["flows", "own.py?top=3", "a.py:B", "m:C"]\n'
        'rss-key = "microsoft"\nrss_fields = "ip-pair"\ncpus = "0-3"\nring-slots = 128\nduration = 1.5\ncount = 7\n'
        "max-loss = 0.01\nstats-interval = 2\n",
    )
    assert config == RunConfig(
        queues=4,
        read=(str(tmp_path / "a.pcap"), "-"),
        loop=2,
        pps=1000.0,
        plugins=("flows", str(tmp_path / "own.py?top=3"), str(tmp_path / "a.py:B"), "m:C"),
        rss_key="microsoft",
        rss_fields="ip-pair",
        cpus="0-3",
        ring_slots=128,
        duration=1.5,
        count=7,
        max_loss=0.01,
        stats_interval=2.0,
    )


def test_the_command_line_goes_before_the_file_and_the_file_before_defaults(tmp_path: Path) -> None:
    config = from_file(tmp_path, "queues = 4\nring-slots = 128\n", queues="2")
    assert (config.queues, config.ring_slots, config.loop) == (2, 128, 0)


def test_a_pace_on_the_command_line_replaces_the_files_other_kind_of_pace(tmp_path: Path) -> None:
    config = from_file(tmp_path, 'read = "a"\nspeed = "original"\n', pps="10")
    assert (config.pps, config.speed) == (10.0, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quues = 4", "zc.toml: there is no option 'quues': did you mean queues?"),
        ("ring_slotz = 4", "there is no option 'ring_slotz': did you mean ring-slots?"),
        ("check = true", "there is no option 'check'"),
        ("queues = 17", "zc.toml: queues = 17: zcframe has at most 16"),
        ("queues = true", "queues = True: a whole number is needed"),
        ("queues = 1.0", "a whole number is needed"),
        ("pps = true", "a number is needed"),
        ("read = [1]", "a name, or a list of names, is needed"),
        ("read = []", "a name, or a list of names, is needed"),
        ("rss-key = 5", "a text is needed"),
        ("queues = ", "not a TOML file"),
        ('pps = 1\nspeed = "max"', "--pps and --speed both set the pace"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        from_file(tmp_path, text)
    assert said in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zc.toml").write_bytes(b"\xff\xfe\x00")
    assert "not a TOML file" in refusal({"config": str(tmp_path / "zc.toml")})
    assert "Is a directory" in refusal({"config": str(tmp_path)})


def test_every_field_has_its_documentation() -> None:
    assert set(OPTIONS) == {field.name for field in fields(RunConfig)} - {"command", "given", "records_to"}
    assert all(len(option.doc) > 10 for option in OPTIONS.values())


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        load({}).queues = 3  # type: ignore[misc]


def test_the_nearest_name_is_offered_only_where_one_is_near() -> None:
    assert hint("flws", ["flows", "sizes"]) == ": did you mean flows?"
    assert hint("xyzzy", ["flows", "sizes"]) == ""


def test_all_names_are_offered_where_none_is_near_and_they_are_few() -> None:
    choices = ["flows", "sizes"]
    assert offer(nearest("flws", choices), choices) == "; did you mean flows?"
    assert offer(nearest("xyzzy", choices), choices, most=2) == "; there are: flows, sizes"
    assert offer(nearest("xyzzy", choices), choices, most=1) == ""
    assert offer("", []) == "; there are: none"


def test_options_are_read_without_numpy_and_numba() -> None:
    code = "import sys, zcframe.framework.config; print(sorted({'numpy', 'numba', 'rich'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize(
    ("given", "say"),
    [
        ({"iface": ["any", "lo"]}, "--iface any lo: any is every interface already, give it alone"),
        ({"iface": ["any"], "tune": True}, "--iface any and --tune: only interfaces that are named are tuned"),
        ({"no_promiscuous": True}, "--no-promiscuous: only live capture has it, name an --iface"),
    ],
)
def test_what_is_meant_for_interfaces_that_are_named(given: dict[str, Any], say: str) -> None:
    assert load({"iface": ["any"], "no_promiscuous": True}).iface == ("any",)
    assert refusal(given) == say
