"""Heaps: their numbers agree with the machine's own, films disturb nothing, drawings fit and say the same."""

from __future__ import annotations

import html
import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from archcalc import generations
from archcalc.calculator.figures import compute
from archcalc.library.heap import Heaps
from archcalc.pictures import film, heap_svg, heap_text, plots
from archcalc.pictures.heap import HeapView, Sample, ViewedRun
from archcalc.pictures.palette import SPANS
from archcalc.profiles import platforms
from archcalc.reading.errors import UsageFault
from archcalc.render import Page, render
from archcalc.traces.reader import Header
from archcalc.traces.recorded_machine import config_for
from archcalc.workloads.programs import WORKLOADS

TRACES = Path(__file__).parents[3] / "tests" / "data" / "traces"
RECORDINGS = [
    "linux-amd64.gcprog.stw",
    "linux-386.mixed.stw",
    "windows-386.std.conc",
    "windows-386.exhaust.off",
]


def config(header: Header) -> object:
    return config_for(header, {})


def of(name: str, workload: str = "mixed", n: int = 800, **options: int) -> film.Film:
    return film.of_workload(compute(platforms.load(name)), workload, n, 1, **options)


@pytest.mark.parametrize("workload", [name for name in WORKLOADS if name != "exhaust"])
@pytest.mark.parametrize("name", ["linux/amd64", "linux/mips", "plan9/386"])
def test_runs_tile_the_heap_and_totals_are_their_sums(name: str, workload: str) -> None:
    taken = of(name, workload, frames=4)
    assert len(taken.frames) >= 1
    for heap in taken.frames:
        assert heap.runs[0].page == 0
        assert all(a.page + a.npages == b.page for a, b in pairwise(heap.runs))
        assert heap.runs[-1].page + heap.runs[-1].npages == heap.pages
        t, page = heap.totals, heap.page_size
        objects = [run for run in heap.runs if run.slots]
        assert t.live == sum(run.objects * run.size for run in objects)
        assert t.in_use == sum(run.npages for run in objects) * page
        assert t.in_use == t.live + t.unfilled + t.tails
        assert t.stacks == sum(run.npages for run in heap.runs if run.look == "S") * page
        assert t.idle == sum(run.npages for run in heap.runs if run.look in "._") * page
        assert t.released == sum(run.released for run in heap.runs) * page
        classes = heap.classes()
        assert sum(c.spans for c in classes) == len(objects)
        assert sum(c.tails for c in classes) == t.tails and sum(c.unfilled for c in classes) == t.unfilled
        assert 0 <= t.occupancy <= 1 and 0 <= t.fragmentation <= 1
    events = [sample.event for sample in taken.samples]
    assert events == sorted(set(events))


def test_totals_agree_with_memstats_and_with_smoke() -> None:
    from archcalc import machines
    from archcalc.workloads.run import boot_and_run

    figures = compute(platforms.load("linux/amd64"))
    run = boot_and_run(machines.prepare(figures), "linux/amd64", "mixed", n=800, seed=1)
    t = of("linux/amd64").last.totals
    s = run.summary
    assert (t.in_use, t.idle, t.released, t.stacks) == (
        s.heap_inuse,
        s.heap_idle,
        s.heap_released,
        s.stacks_inuse,
    )
    assert (t.tails, t.unfilled) == (s.tails, s.unfilled)


@pytest.mark.parametrize("name", RECORDINGS)
def test_pictures_on_the_way_change_nothing(name: str) -> None:
    path = TRACES / f"{name}.trace.gz"
    replayer = film.FilmedReplayer(path, config)  # type: ignore[arg-type]
    replayer.frames = 7
    result = replayer.run()
    # The end state, bitmaps and last words were compared as well.
    assert result.ok and replayer.ended
    assert replayer.camera is not None and len(replayer.camera.frames) >= 6


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_last_heap_is_the_recording_s_end(name: str) -> None:
    import gzip

    path = TRACES / f"{name}.trace.gz"
    heap = film.of_recording(path, config).last  # type: ignore[arg-type]
    with gzip.open(path, "rt") as lines:
        rows = [line.split() for line in lines if line.startswith("Zs ")]
    expected = {
        (int(base, 16), int(npages), int(objects))
        for _, base, npages, state, _, _, objects, *_ in rows
        if state == "1"
    }
    found = {
        (heap.base + run.page * heap.page_size, run.npages, run.objects) for run in heap.runs if run.slots
    }
    assert rows == [] or found == expected


def test_an_event_in_the_middle_is_that_event() -> None:
    path = TRACES / "linux-amd64.gcprog.stw.trace.gz"
    one = film.of_recording(path, config, at_event=5000)  # type: ignore[arg-type]
    whole = film.of_recording(path, config)  # type: ignore[arg-type]
    assert one.last.event == 5000 and one.last.moment == "event 5000"
    assert whole.last.event > 5000 and whole.last.moment.endswith("the end")
    assert one.last.runs != whole.last.runs
    beyond = film.of_recording(path, config, at_event=10**9)  # type: ignore[arg-type]
    assert beyond.last.runs == whole.last.runs and "the recording has 17183 events" in beyond.note


def test_before_the_boot_there_is_the_first_heap_that_there_is() -> None:
    path = TRACES / "linux-amd64.gcprog.stw.trace.gz"
    early = film.of_recording(path, config, at_event=1)  # type: ignore[arg-type]
    assert early.last.pages == 0 or early.last.event < 10


def test_a_workload_stops_at_an_allocation() -> None:
    taken = of("linux/386", at_event=100)
    assert taken.last.event == 100 and taken.note == "stopped at allocation 100"
    short = of("linux/386", n=200, at_event=10**6)
    assert "ended after" in short.note


def test_dying_is_reported() -> None:
    taken = of("linux/386", "exhaust", n=2000)
    assert taken.note.startswith("died: ")
    assert taken.last.totals.in_use > 1 << 28


def drawn(heap: HeapView, each: int) -> list[str]:
    return [look for look, _ in heap_text.shares(heap.runs, each)]


def test_cells_show_what_takes_most_of_them() -> None:
    runs = (
        ViewedRun(0, 3, "a", 1, 8, 5, 10),
        ViewedRun(3, 1, "."),
        ViewedRun(4, 8, "L"),
        ViewedRun(12, 1, "_"),
        ViewedRun(13, 2, "S"),
    )
    heap = HeapView("p", "now", 1, 0, 8192, 15, runs, Sample(1, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    assert "".join(drawn(heap, 1)) == "aaa.LLLLLLLL_SS"
    assert "".join(drawn(heap, 4)) == "aLLS"
    assert heap_text.shares(heap.runs, 1)[0] == ("a", 0.5)


def test_a_long_gap_is_left_out_of_drawings() -> None:
    """Chunks of user arenas lie terabytes from the heap, and so does a heap that had to move."""
    far = 1 << 31
    runs = (ViewedRun(0, 3, "a", 1, 8, 5, 10), ViewedRun(3, far, "x"), ViewedRun(far + 3, 100, "L"))
    heap = HeapView("p", "now", 1, 1 << 40, 8192, far + 103, runs, Sample(1, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    assert heap.held == 103
    lines = heap_text.draw(heap, 92, False, False, legend=False)
    assert [line.split()[-1] for line in lines[1::2]] == ["aaa", "heap's)", "L" * 24]
    root = ET.fromstring(heap_svg.draw([heap], "p"))
    addresses = [node.text for node in root.iter() if node.get("class") == "dim"][1:]
    assert addresses == [f"{heap.base + page * 8192:#x}" for page in (0, far + 3, far + 67)]
    # A film's frames share rows: an earlier one has its part where the last has it.
    early = replace(heap, pages=3, runs=runs[:1])
    grid = heap_svg.PageGrid([early, heap])
    assert (grid.rows, list(grid.pieces((1 << 27) + far + 60, (1 << 27) + far + 70))) == (
        3, [(1, 57, 7), (2, 0, 3)],
    )  # fmt: skip


@pytest.mark.parametrize("width", [30, 72, 92, 160])
@pytest.mark.parametrize("unicode", [True, False])
def test_text_fits_and_is_ascii_where_asked(width: int, unicode: bool) -> None:
    heap = of("linux/amd64").last
    lines = heap_text.draw(heap, width, unicode, False, legend=False)
    assert all(len(line) <= max(width, 45) for line in lines)
    assert len(lines) <= 2 * heap_text.ROWS + 1
    assert unicode or "\n".join(lines).isascii()
    colored = heap_text.draw(heap, width, unicode, True, legend=False)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in colored] == lines


def test_svg_of_a_film_shows_the_last_frame_without_motion() -> None:
    taken = of("linux/amd64", "churn", frames=5)
    root = ET.fromstring(heap_svg.draw(taken.frames, taken.subject))
    space = "{http://www.w3.org/2000/svg}"
    groups = [g for g in root.iter(f"{space}g") if (g.get("class") or "").startswith("fr ")]
    assert len(groups) == len(taken.frames) == 5
    style = "".join(node.text or "" for node in root.iter(f"{space}style"))
    assert "prefers-reduced-motion:no-preference" in style and ".fr4{visibility:visible}" in style
    single = ET.fromstring(heap_svg.draw(taken.frames[-1:], taken.subject))
    assert not [g for g in single.iter(f"{space}g") if (g.get("class") or "").startswith("fr ")]


def test_formats() -> None:
    result = Heaps([of("linux/386", frames=3)])
    for format in result.formats:
        assert "".join(render(result, format, Page(100))), format
    rows = list(result.records())
    assert {row["event"] for row in rows} == {frame.event for frame in result.films[0].frames}
    both = Heaps([of("linux/386"), of("linux/amd64")])
    with pytest.raises(UsageFault, match="2 heaps for one SVG"):
        both.svg()


def test_curves_are_the_same_for_the_same_film() -> None:
    pytest.importorskip("matplotlib")
    taken = of("linux/386", "trees", frames=2)
    one, other = plots.to_svg(taken), plots.to_svg(taken)
    assert one == other and one.startswith("<svg ")
    for words in ("Memory, MB", "Waste in spans, MB", "Spans", "in objects", "event"):
        assert f">{words}<" in one
    assert plots.to_bytes(taken, Path("p.png")).startswith(b"\x89PNG")


def test_without_matplotlib_the_page_is_there_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    taken = of("linux/386", frames=3)
    page = html.unescape(Heaps([taken]).html())
    assert "pip install 'archcalc[html]'" in page and 'type="range"' in page
    with pytest.raises(UsageFault, match=r"the extra `html`: pip install 'archcalc\[html\]'"):
        plots.to_bytes(taken, Path("p.svg"))


def test_every_look_has_words_and_a_letter_of_its_own() -> None:
    assert len({look.letter for look in SPANS.values()}) == len(SPANS)
    assert all(look.words for look in SPANS.values())


@pytest.mark.parametrize(
    "go", [name for name in generations.known() if generations.said(name, "era") == "sparse"]
)
@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386"])
def test_heaps_of_any_release_are_drawn(platform: str, go: str) -> None:
    found = film.of_workload(compute(platforms.load(platform, go), None, go), "mixed", 600, 1, frames=2)
    heap = found.last
    assert sum(run.npages for run in heap.runs) == heap.pages
    totals = heap.totals
    size = heap.page_size
    held = sum(run.npages for run in heap.runs if run.look not in "._x") * size
    assert held == totals.in_use + totals.stacks and totals.live > 0
    assert sum(c.objects * c.size for c in heap.classes() if c.sizeclass) <= totals.live
    ET.fromstring(Heaps([found]).svg())
