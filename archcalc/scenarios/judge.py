"""Compares what a scenario expects with the results, one expectation at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from allocator.common.throw import Death
from allocator.kernels.address_space import MAPPED
from allocator.kernels.system import Errno
from archcalc.machines import vocabulary
from archcalc.reading.errors import Fault, ScenarioFault, UsageFault
from archcalc.reading.fields import Group, nearest
from archcalc.reading.words import counted
from archcalc.scenarios.load import Scenario
from archcalc.scenarios.run import ScenarioOutcome, ScenarioRun

NOTHING: Any = type("Nothing", (), {"__repr__": lambda self: "nothing"})()
"""The result where there is no such thing: no heap, no counter, no call."""

ADDRESSES = frozenset(
    {
        *vocabulary.ADDRESSES,
        "hints", "answers", "last_hint", "last_answer", "last_address", "overwritten",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation: its path (`arena.reserved`), its place, what it says and the result."""

    what: str
    line: int
    column: int
    expected: Any
    came: Any
    at: str = ""

    @property
    def ok(self) -> bool:
        """Whether the result is exactly what was expected."""
        return type(self.expected) is type(self.came) and bool(self.expected == self.came)

    @property
    def name(self) -> str:
        """The path, and the step where it stands within one."""
        return f"{self.at}: {self.what}" if self.at else self.what

    @property
    def message(self) -> str:
        """One line for people."""
        own = self.what.rpartition(".")[2]
        if isinstance(self.expected, list) and isinstance(self.came, list) and len(self.expected) > 3:
            return f"{self.name}: {_differing(self.expected, self.came, own)}"
        return f"{self.name}: expected {spelt(self.expected, own)}, got {spelt(self.came, own)}"

    def document(self) -> dict[str, Any]:
        """The expectation as JSON has it."""
        came = None if self.came is NOTHING else self.came
        return {"what": self.name, "ok": self.ok, "expected": self.expected, "came": came, "line": self.line}


def _differing(expected: list[Any], came: list[Any], own: str) -> str:
    """Where two long lists differ."""
    if len(expected) != len(came):
        return f"expected {counted(len(expected), 'item')}, got {len(came)}: {spelt(came, own)}"
    i = next(i for i, (a, b) in enumerate(zip(expected, came, strict=True)) if a != b)
    return f"item {i + 1}: expected {spelt(expected[i], own)}, got {spelt(came[i], own)}"


def spelt(value: Any, own: str = "") -> str:
    """A value as messages have it; addresses in hexadecimal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return hex(value) if own in ADDRESSES else str(value)
    if isinstance(value, list):
        shown = [spelt(item, own) for item in value[:200]]
        return f"[{', '.join(shown)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {spelt(item, own)}" for key, item in value.items()) + "}"
    return repr(value) if isinstance(value, str) else str(value)


@dataclass(frozen=True, slots=True)
class ScenarioVerdict:
    """A scenario that was carried out, with every expectation in the order of the file."""

    outcome: ScenarioOutcome
    expectations: tuple[Expectation, ...]

    @property
    def scenario(self) -> Scenario:
        """The scenario."""
        return self.outcome.scenario

    @property
    def ok(self) -> bool:
        """Whether every expectation held."""
        return all(expectation.ok for expectation in self.expectations)


def carry_out(scenario: Scenario) -> ScenarioVerdict:
    """Runs a scenario and judges it. Raises ScenarioFault for a mistake that only running it shows."""
    outcome = ScenarioRun(scenario, judge).run()
    expect = scenario.section("expect")
    if outcome.runtime is None and not {"outcome", "faults"} & set(expect):
        # This profile was not meant to be refused.
        raise ScenarioFault(*scenario.refused)
    found = [expectation for part in outcome.judged for expectation in part]
    return ScenarioVerdict(outcome, (*found, *judge(outcome, expect, "")))


def judge(outcome: ScenarioOutcome, expect: Group, at: str) -> list[Expectation]:
    """Every expectation of a section against what is there now."""
    seen = _Seen(outcome)
    return [
        Expectation(path, *place, expected, seen.value(path, place), at)
        for path, place, expected in _leaves(expect, "")
    ]


def _leaves(group: Group, prefix: str) -> Iterator[tuple[str, tuple[int, int], Any]]:
    for key, value in group.items():
        path = f"{prefix}{key}"
        if isinstance(value, Group):
            yield from _leaves(value, f"{path}.")
        else:
            yield path, group.at[key], _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Group):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


class _Seen:
    """The results, by the paths of expectations; each part is computed when it is asked for."""

    def __init__(self, outcome: ScenarioOutcome) -> None:
        self.outcome = outcome
        self.rt = outcome.runtime

    def value(self, path: str, place: tuple[int, int]) -> Any:
        """What is there under an expectation's path."""
        section, _, own = path.partition(".")
        if not own:
            return getattr(self, f"_{section}")()
        if section == "figures":
            return self._figure(own, place)
        if section == "memstats":
            return self._memstat(own, place)
        if self.rt is None:
            return NOTHING
        part: Mapping[str, Any] = getattr(self, f"_{section}")
        if section == "checks" and self.outcome.booted and own not in part:
            raise self._unknown(own, part, place, "an invariant of mallocinit")
        name, _, key = own.partition(".")
        found = part.get(name, NOTHING)
        return found.get(key, 0) if key and found is not NOTHING else found

    def _unknown(self, name: str, known: Iterable[str], place: tuple[int, int], what: str) -> ScenarioFault:
        names = list(known)
        return self.outcome.scenario.fault("name", f"unknown name {name}", what, place, nearest(name, names))

    # Single values.

    def _outcome(self) -> str:
        return self.outcome.kind

    def _throw(self) -> Any:
        return self.outcome.death["throw"] if self.outcome.death else NOTHING

    def _printed(self) -> list[str]:
        return self.outcome.printed

    def _during(self) -> Any:
        return self.outcome.during or NOTHING

    def _faults(self) -> list[str]:
        return sorted({fault.id for fault in self.outcome.scenario.refused})

    def _findings(self) -> Any:
        from archcalc import checks

        if self.outcome.figures is None:
            return NOTHING
        cases = checks.run(checks.chosen((), ()), [self.outcome.figures], {})
        return sorted({finding.id for case in cases for finding in case.findings})

    def _allocated(self) -> int:
        return self.outcome.allocated

    def _audit(self) -> Any:
        if self.rt is None or not self.outcome.booted:
            return NOTHING
        return len(self.rt.audit())

    # Parts.

    @cached_property
    def _attempts(self) -> Mapping[str, Any]:
        attempts = self.outcome.attempts
        found: dict[str, Any] = {
            "count": len(attempts),
            "refused": sum(not attempt.answer for attempt in attempts),
            "hints": [attempt.hint for attempt in attempts],
            "sizes": [attempt.size for attempt in attempts],
            "answers": [attempt.answer for attempt in attempts],
        }
        if attempts:
            last = attempts[-1]
            found |= {"last_hint": last.hint, "last_size": last.size, "last_answer": last.answer}
        return found

    @cached_property
    def _arena(self) -> Mapping[str, Any]:
        return self.rt.heap_figures() if self.rt is not None else {}

    @cached_property
    def _checks(self) -> Mapping[str, bool]:
        return self.outcome.checks

    @cached_property
    def _os(self) -> Mapping[str, Any]:
        rt, calls = self.rt, self.outcome.calls
        assert rt is not None and calls is not None
        system: Any = rt.kernel
        totals = system.space.totals()
        windows = getattr(system, "committed", None)
        if windows is None:
            mapped = sum(size for kind, size in totals.items() if kind & MAPPED)
            reserved = sum(size for kind, size in totals.items() if kind and not kind & MAPPED)
        else:
            mapped = windows.total(MAPPED)
            reserved = sum(size for kind, size in totals.items() if kind) - mapped
        found: dict[str, Any] = {
            "calls": calls.made,
            "refused": calls.refused,
            "bytes": calls.bytes,
            "mappings": getattr(system, "map_count", len(system.space)),
            "reserved": reserved,
            "mapped": mapped,
            "page_tables": system.commit_charge - mapped if windows is not None else 0,
            "overwritten": [{"from": start, "to": end} for start, end in getattr(system, "overwritten", ())],
        }
        last = calls.last
        if last is not None:
            answer = f"errno={last.answer.number}" if isinstance(last.answer, Errno) else last.answer
            found |= {
                "last_call": last.call,
                "last_address": last.address,
                "last_size": last.size,
                "last_answer": "refused"
                if answer == 0 and last.call in ("sysAlloc", "sysReserve")
                else answer,
            }
        return found

    def _figure(self, name: str, place: tuple[int, int]) -> Any:
        figures = self.outcome.figures
        if figures is None:
            return NOTHING
        try:
            return figures.value(name)
        except UsageFault as fault:
            raise ScenarioFault(
                *(
                    Fault(f.found, f.expected, f.suggestion, f.id, self.outcome.scenario.file, *place)
                    for f in fault.faults
                )
            ) from None

    def _memstat(self, name: str, place: tuple[int, int]) -> Any:
        running = self.rt.counters() if self.rt is not None else {}
        if name in running or name in vocabulary.COUNTERS:
            return running.get(name, NOTHING)
        counters = self._memstats
        if counters and name not in counters:
            raise self._unknown(name, [*counters, *running], place, "a counter of MemStats or mstats")
        return counters.get(name, NOTHING)

    @cached_property
    def _memstats(self) -> Mapping[str, Any]:
        if self.rt is None or not self.outcome.booted:
            return {}
        try:
            return self.rt.memstats()
        except Death:
            return {}  # what died in the middle of something cannot always flush its caches
