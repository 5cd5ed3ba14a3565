"""`zcframe report`: its page in a real browser, against the document; and files that are no document."""

from __future__ import annotations

import html.parser
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kit import runs
from tests.kit.command import zcframe as command
from tests.kit.places import BUNDLED
from zcframe import __version__
from zcframe.framework.outputs.document import document, one_line
from zcframe.framework.stats import Fault, FaultyPacket
from zcframe.framework.stats.outputs import OutputStats, ShareLedger

VILE = "</script><script>document.title='taken'</script><b>&amp;"
# What the page loaded, and what its policy kept it from loading, once all is drawn.
WITNESS = """<script>
const refused = []
document.addEventListener("securitypolicyviolation", event => refused.push(event.blockedURI))
addEventListener("load", () => setTimeout(() => {
    const loaded = performance.getEntriesByType("resource").map(entry => entry.name)
    document.body.dataset.witness = JSON.stringify({loaded, refused})
}, 100))
</script></head>"""


class Page(html.parser.HTMLParser):
    """Tables by their section, bars by the title of their figure, and what would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.bars: dict[str, list[float]] = {}
        self.outside: list[str] = []
        self.witness: dict[str, list[str]] = {}
        self._section = self._figure = ""
        self._row: list[str] | None = None
        self._cell = self._point = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if tag == "section":
            self._section = found["id"]
        elif tag == "tr":
            self._row = []
        elif tag in ("td", "th") and self._row is not None:
            self._row.append("")
            self._cell = True
        elif found.get("role") == "img":
            self._figure = found["aria-label"].partition(";")[0]
        elif found.get("class") == "point":
            self._point = True
        elif tag == "path" and self._point:
            self._point = False
            self.bars.setdefault(self._figure, []).append(_height(found["d"]))
        self.outside += [value for name, value in found.items() if name in ("src", "href") and "://" in value]
        if "data-witness" in found:
            self.witness = json.loads(found["data-witness"])

    def handle_data(self, data: str) -> None:
        if self._cell and self._row:
            self._row[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False
        elif tag == "tr" and self._row is not None:
            self.tables.setdefault(self._section, []).append(self._row)
            self._row = None


def _height(path: str) -> float:
    """Of a bar: plotly draws it as M x,y V y H x V y Z; one of no height has no path."""
    found = re.match(r"M[\d.-]+,([\d.-]+)V([\d.-]+)H", path)
    return abs(float(found[1]) - float(found[2])) if found else 0.0


def _seen(path: Path, text: str) -> Page:
    """The page as a browser has it when its scripts have run."""
    path.write_text(text.replace("</head>", WITNESS, 1))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={path.parent / 'profile'}"]
    words = ["chromium", *flags, "--virtual-time-budget=10000", "--dump-dom", path.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return Page(done.stdout)


def _made(tmp_path: Path, *documents: Mapping[str, Any]) -> str:
    file, page = tmp_path / "run.json", tmp_path / "run.html"
    file.write_text("\n".join(json.dumps(found) for found in documents))
    done = command("report", file, "--html", page)
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.glob("*.part"))
    return page.read_text()


def _vile() -> dict[str, Any]:
    """A run with everything that a page has a place for; what comes from the network is hostile."""
    packet = FaultyPacket(0, 7, 10**18, 60, "10.0.0.1:5", "", 6, b"ab")
    shares = [ShareLedger(0, "/x0", 10, 7, 700, 0, {"unread": 3}), ShareLedger(1, "/x1", 5, 5, 500)]
    plugins = {"names": {"counts": {VILE: 30, "443": 10, "80": 20}, "rows": [{"port": 40000, "name": VILE}], "n": 1234}}
    found = runs.snapshot(
        faults=[Fault("flows", VILE, 5, packet)],
        outputs=[OutputStats("fifo:/x{}", "fifo", shares=shares)],
        plugins=plugins,
    )
    return json.loads(one_line(document(found)))  # type: ignore[no-any-return]


def _in_proportion(bars: list[float], values: list[int]) -> None:
    scale = max(values) / max(bars)
    assert [bar * scale for bar in bars] == pytest.approx(values, abs=max(values) / 100)


@pytest.mark.long
@pytest.mark.needs("chromium")
def test_a_browser_shows_what_the_document_has(tmp_path: Path) -> None:
    found = command("run", "--json", "--read", BUNDLED, "--queues", 4, "--plugin", "sizes").document
    page = _seen(tmp_path / "seen.html", _made(tmp_path, found))
    packets = [row["packets"] for row in found["queues"]]
    queues = page.tables["queues"]
    at = queues[-5].index("packets")
    assert [int(row[at].replace(",", "")) for row in queues[-4:]] == packets
    (title,) = (title for title in page.bars if title.startswith("packets by queue"))
    assert f"{max(packets) * 4 / sum(packets):.2f} times the mean" in title
    _in_proportion(page.bars[title], packets)
    sizes = found["plugins"]["sizes"]["histogram"]
    _in_proportion(page.bars["sizes: histogram"], list(sizes.values()))
    ledger = dict(zip(page.tables["ledger"][-6], page.tables["ledger"][-1], strict=True))
    for name in ("arrived", "delivered", "accepted", "ring_full"):
        assert int(ledger[name].replace(",", "")) == found["totals"]["ledger"][name]
    assert page.witness == {"loaded": [], "refused": []} and page.outside == []


@pytest.mark.long
@pytest.mark.needs("chromium")
def test_text_of_the_network_stays_text(tmp_path: Path) -> None:
    found = _vile()
    text = _made(tmp_path, found)
    page = _seen(tmp_path / "seen.html", text)
    assert page.witness == {"loaded": [], "refused": []} and page.outside == []
    assert "<title>zcframe: a.pcap" in text and "taken'</script>" not in text.replace("</script>", "", 1)[-200_000:]
    rows = page.tables["plugin-names"]
    assert ["40000", VILE] in rows and ["n", "1,234"] in rows and [VILE, "30"] in rows
    _in_proportion(page.bars["names: counts"], [30, 10, 20])
    assert any(VILE in cell for row in page.tables["faults"] for cell in row)
    assert _unread(page.tables["outputs"]) == "unread: 3"


def _unread(rows: list[list[str]]) -> str:
    heads = next(row for row in rows if row[0] == "output")
    return rows[rows.index(heads) + 1][heads.index("dropped")]


def test_several_documents_show_the_course(tmp_path: Path) -> None:
    documents = []
    for second in (1, 2, 3):
        found = runs.snapshot(queues=runs.queues(2), elapsed_s=float(second), at=1.7e9 + second)
        documents.append(json.loads(one_line(document(found))))
        documents[-1]["queues"][1]["packets"] = 500 * second * second
    page = Page(_made(tmp_path, *documents))
    assert [row[1:] for row in page.tables["course"][1:]] == [["0", "1,500"], ["0", "2,500"]]


def test_a_page_goes_to_stdout_too(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps(_vile()))
    assert command("report", file, "--html", "-").stdout.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "run.json: empty; zcframe run --json prints the document at its end"),
        (
            "{",
            "run.json: line 1: not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        ("[]", "run.json: line 1: no document of a run, as zcframe run --json prints it"),
        ('{"zcframe": "0.1.0"}', "run.json: line 1: no document of a run, as zcframe run --json prints it"),
        (
            json.dumps({**_vile(), "zcframe": "9.9"}),
            f"run.json: written by zcframe 9.9; this is {__version__}: use that one",
        ),
        (
            json.dumps({**_vile(), "queues": [{}]}),
            "run.json: a document of a run that lacks something: KeyError: 'packets'",
        ),
    ],
)
def test_what_is_no_document_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "run.json"
    file.write_text(text)
    done = command("report", file, "--html", tmp_path / "run.html")
    assert (done.code, done.stdout, done.stderr) == (1, "", f"zcframe: {tmp_path}/{says}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_what_cannot_be_read_or_written(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    done = command("report", file, "--html", tmp_path / "x")
    assert (done.code, done.stderr) == (1, f"zcframe: {file}: No such file or directory\n")
    file.write_text(json.dumps(_vile()))
    done = command("report", file, "--html", tmp_path / "no" / "x")
    assert (done.code, done.stderr) == (1, f"zcframe: --html {tmp_path}/no/x: No such file or directory\n")
    done = command("report", file)
    assert (done.code, done.stderr) == (2, "zcframe: --html FILE is needed: where the page goes\n")
