"""Whether the concrete machine does what a counterexample says, and the scenario file that shows it.

The draft of a scenario is run, every call noted; the calls of the proof must come in their order.
What the machine then shows becomes the expectations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from allocator.kernels.fault_plans import Plans
from allocator.kernels.system import Answer
from archcalc.calculator.figures import Figures
from archcalc.machines import vocabulary
from archcalc.machines.options import MachineOptions
from archcalc.profiles.files import file_of
from archcalc.reading.errors import UsageFault
from archcalc.scenarios.load import load
from archcalc.scenarios.run import ScenarioOutcome, ScenarioRun


@dataclass(frozen=True, slots=True)
class ScenarioDraft:
    """A scenario without its expectations, and what a run of it must do to confirm the proof.

    `calls` are helper, address and size of what is asked of the system; `death` the last words,
    empty where the process need not die. Where there are any `dies_unlike`, it must die of other words than
    these, or have the figures that `shows` tells, or live on with a heap that an audit finds broken.
    `overwrites`: others' memory is lost. `go` is the release, where it is not the usual one.
    """

    name: str
    about: str
    figures: Figures
    machine: dict[str, Any]
    answers: Sequence[str]
    steps: Sequence[str]
    calls: Sequence[tuple[str, int, int]]
    death: str = ""
    dies_unlike: frozenset[str] = frozenset()
    shows: Mapping[str, int] = field(default_factory=dict)
    overwrites: bool = False
    go: str = ""
    runtime: Sequence[str] = ()

    def text(self, expect: Sequence[str]) -> str:
        """The file."""
        profile = self.figures.profile
        ours, file = file_of(profile.platform), Path(profile.file)
        own = file.is_file() and (ours is None or not ours.samefile(file))
        lines = [
            "schema: 1",
            f"name: {self.name}",
            "about: |",
            *(f"  {line}" for line in _wrapped(self.about)),
            *([f'go: "{self.go}"'] if self.go else []),
            f"profile: {file.resolve()}" if own else f"platform: {profile.platform}",
        ]
        if self.figures.sets:
            lines += ["set:", *(f"  {name}: {value}" for name, value in self.figures.sets.items())]
        if self.machine:
            lines.append("machine:")
            for name, value in self.machine.items():
                if name == "taken":
                    lines.append("  taken:")
                    lines += [f"    - {{from: {start:#x}, to: {end:#x}}}" for start, end in value]
                else:
                    lines.append(f"  {name}: {str(value).lower() if isinstance(value, bool) else value}")
        if self.runtime:
            lines += ["runtime:", *(f"  {line}" for line in self.runtime)]
        if self.answers:
            lines += ["os:", *(f"  - {{{answer}}}" for answer in self.answers)]
        if self.steps:
            lines += ["steps:", *(f"  - {step}" for step in self.steps)]
        return "\n".join([*lines, "expect:", *(f"  {line}" for line in expect)]) + "\n"


class BrokenDown(Exception):
    """A counterexample makes the machine fail in a way that its runtime does not know."""


class _Noted(ScenarioRun):
    """A run that notes every call of the system."""

    def install(self, scripts: Any) -> None:
        super().install(scripts)
        self.noted: list[tuple[str, int, int]] = []
        assert self.outcome.runtime is not None
        self.outcome.runtime.system.plan = Plans([self._note, *self.plans])

    def _note(self, call: str, v: int, n: int) -> Answer | None:
        self.noted.append((call, v, n))
        return None


def confirmed(draft: ScenarioDraft) -> str:
    """The scenario with its outcome; empty where that does not confirm the proof.

    Raises BrokenDown.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "draft.yaml"
        path.write_text(draft.text(["outcome: booted"]), encoding="utf-8")
        (scenario,) = load(path)
        run = _Noted(scenario, lambda *_: None)
        try:
            outcome = run.run()
        except UsageFault:
            raise
        except Exception as error:
            raise BrokenDown(f"{type(error).__name__}: {error}") from error
    noted = iter(run.noted)
    if not all(call in noted for call in draft.calls) or not _as_it_must_be(draft, outcome):
        return ""
    return draft.text(list(_expected(outcome)))


def _as_it_must_be(draft: ScenarioDraft, outcome: ScenarioOutcome) -> bool:
    """Whether a run has ended, and left the machine, as the proof says."""
    words = None if outcome.death is None else outcome.death["throw"]
    if draft.death and words != draft.death:
        return False
    assert outcome.runtime is not None
    if draft.dies_unlike and (words is None or words in draft.dies_unlike):
        figures = outcome.runtime.heap_figures()
        shown = bool(draft.shows) and draft.shows.items() <= figures.items()
        if not shown and (words is not None or not outcome.runtime.audit()):
            return False
    return not draft.overwrites or bool(getattr(outcome.runtime.kernel, "overwritten", ()))


def described(options: MachineOptions) -> Iterator[tuple[str, object]]:
    """What a command line says about the machine, in a scenario's words."""
    for option in fields(options):
        value = getattr(options, option.name)
        if value != option.default:
            yield option.name, list(value) if option.name == "taken" else value


def _expected(outcome: ScenarioOutcome) -> list[str]:
    """The outcome of the run, as expectations."""
    rt = outcome.runtime
    assert rt is not None
    lines = [f"outcome: {outcome.kind}"]
    if outcome.death is not None:
        lines.append(f"throw: {_quoted(outcome.death['throw'])}")
        if outcome.death["printed"]:
            lines += ["printed:", *(f"  - {_quoted(line)}" for line in outcome.death["printed"])]
        lines.append(f"during: {_quoted(outcome.during)}")
    elif outcome.booted:
        lines.append(f"audit: {len(rt.audit())}")
    if outcome.attempts:
        last = outcome.attempts[-1]
        lines += [
            "attempts:",
            f"  count: {len(outcome.attempts)}",
            f"  last_hint: {last.hint:#x}",
            f"  last_size: {last.size}",
            f"  last_answer: {last.answer:#x}",
        ]
    figures = rt.heap_figures()
    if figures:
        lines.append("arena:")
        for named in rt.HEAP_FIGURES:
            if named.name in figures and named in vocabulary.HEAP:
                value = figures[named.name]
                lines.append(f"  {named.name}: {str(value).lower() if isinstance(value, bool) else value}")
    overwritten = getattr(rt.kernel, "overwritten", ())
    if overwritten:
        lines += ["os:", "  overwritten:"]
        lines += [f"    - {{from: {start:#x}, to: {end:#x}}}" for start, end in overwritten]
    return lines


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 100)
