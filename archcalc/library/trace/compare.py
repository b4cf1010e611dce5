"""A recording and the execution trace that the program wrote meanwhile: whether they tell of one run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archcalc.reading.words import counted
from archcalc.results.findings import Case, Finding, Rule, Severity
from archcalc.results.judged import Judged
from archcalc.results.tables import Block, Column, Prose, Section, Table, Value
from archcalc.traces.columnar import header_of
from archcalc.traces.execution.agreement import KINDS, SameRun, compare
from archcalc.traces.execution.recording import import_trace
from archcalc.traces.execution.wire import is_trace
from archcalc.traces.reader import Header, fault

FAMILY = "trace"

RULE = Rule(
    "trace-difference",
    FAMILY,
    Severity.ERROR,
    "a recording and an execution trace of one run agree",
    "What Go's own tracer has of an address must be a part, without gaps, of what the recorder has of it: "
    "the same objects, spans and stacks, of the same types and sizes, in the same order.",
)
RULES = (RULE,)


class Compared(Judged):
    """How far a recording and a trace agree."""

    def __init__(self, recording: Path, trace: Path, platform: str, run: SameRun) -> None:
        self.recording = recording
        self.trace = trace
        self.platform = platform
        self.run = run

    def rules(self) -> Sequence[Rule]:
        return RULES

    def cases(self) -> Iterable[Case]:
        found = tuple(
            Finding(
                RULE.id, self.platform, Severity.ERROR, str(one), FAMILY, f"{one.kind} at {one.address:#x}",
                str(self.recording),
            )
            for one in self.run.first
        )  # fmt: skip
        yield Case(RULE.id, str(self.recording), found)

    def document(self) -> Mapping[str, object]:
        run = self.run
        return {
            "ok": self.ok,
            "recording": str(self.recording),
            "trace": str(self.trace),
            "platform": self.platform,
            **{kind: run.both[kind] for kind in KINDS},
            "differences": run.differences,
            "by_kind": {kind: run.differing[kind] for kind in KINDS},
            "first_difference": run.first[0].document() if run.first else None,
        }

    def records(self) -> Iterable[Mapping[str, object]]:
        yield self.document()

    def sheet(self) -> Table:
        rows: list[list[Value]] = [[kind, self.run.both[kind], self.run.differing[kind]] for kind in KINDS]
        return Table((Column("what"), Column("both have", int), Column("differences", int)), rows)

    def view(self) -> Iterable[Section | Block]:
        yield self.sheet()
        if self.run.first:
            lines = "\n".join(f"  {one}" for one in self.run.first)
            yield Prose(f"the first differences, by kind and address:\n{lines}", verbatim=True)
        words = "both tell of one run" if self.ok else counted(self.run.differences, "difference")
        yield Prose(f"{'ok' if self.ok else 'FAILED'}: {words}")


def compare_files(
    recording: Path,
    trace: Path,
    config_for: Callable[[Header], Any],
    progress: Callable[[int, int], None] | None = None,
) -> Compared:
    """A recording by `archcalc record`, and what runtime/trace wrote or `trace import` made of that.

    Raises TraceFault where one of them is something else, or they are of two platforms or releases.
    """
    header = header_of(recording)
    if header.version != 2:
        raise fault(str(recording), 1, f"a recording of version {header.version}", "one by archcalc record")
    config = config_for(header)
    if is_trace(trace):
        with tempfile.TemporaryDirectory(prefix="archcalc-compare-") as folder:
            imported = Path(folder) / "imported.trace.gz"
            import_trace(trace, config, {"go": f"go{header.generation}"}, imported, progress)
            return Compared(recording, trace, header.platform, compare(recording, imported, config))
    other = header_of(trace)
    if other.version != 3:
        expected = "what runtime/trace wrote, or trace import made of that"
        raise fault(str(trace), 1, f"a recording of version {other.version}", expected)
    for what in ("platform", "generation"):
        ours, theirs = getattr(header, what), getattr(other, what)
        if ours != theirs:
            raise fault(str(trace), 1, f"a trace of {theirs}", f"one of {ours}, as the recording is")
    return Compared(recording, trace, header.platform, compare(recording, trace, config))
