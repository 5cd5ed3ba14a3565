"""Captures that come through pipes: by the names a shell gives them, and while their writer goes on."""

from __future__ import annotations

import os
from pathlib import Path

from tests.kit.capture_build import flow_records, pcap
from tests.kit.checks import check_books
from tests.kit.command import Background, zcframe

# `bash -c` calls the first word behind it $0; files are the last two words.
SUBSTITUTE = (
    'a=("$0" "$@"); exec "${a[@]:0:${#a[@]}-2}" "${a[-1]}" <(cat "${a[-2]}") <(cat "${a[-1]}") <(cat "${a[-2]}")'
)
RUN = ("run", "--json", "--queues", 2, "--plugin", "flows?top=1000")


def test_process_substitution(tmp_path: Path) -> None:
    """A file, and three pipes of a shell; packets of the same flows are brought together."""
    (tmp_path / "a.pcap").write_bytes(pcap(flow_records(3)))
    (tmp_path / "b.pcap").write_bytes(pcap(flow_records(2)))
    words = (*RUN, "--read", tmp_path / "a.pcap", tmp_path / "b.pcap")
    done = zcframe(*words, launcher=["bash", "-c", SUBSTITUTE])
    assert (done.code, check_books(done.document)["packets"]) == (0, 2 + 3 + 2 + 3), done
    flows = done.document["plugins"]["flows"]["top"]
    assert sorted(flow["packets"] for flow in flows) == [2, 4, 4]


def test_packets_count_while_the_pipe_is_open(tmp_path: Path) -> None:
    data, more = pcap(flow_records(4)), pcap(flow_records(1))[24:]
    reading, writing = os.pipe()
    with open(reading, "rb") as taken, open(writing, "wb", buffering=0) as given:
        run = Background(tmp_path, *RUN, "--stats-interval", "0.1", "--read", "-", stdin=taken)
        with run:
            given.write(data)
            run.flowing(4)
            given.write(more)
            run.flowing(5)
            given.close()
            done = run.finish()
    assert (done.code, check_books(done.document)["packets"]) == (0, 5), done
