"""Carries a scenario out: boots the machine, does the steps, and notes the results.

The runtime's death ends the steps and is a result. What is asked of the system is counted on
the way, by helper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from allocator.common.throw import BadRequest, Death
from allocator.common.types import KIND_NO_POINTERS, BadType, Type
from allocator.interface import Allocator, Attempt
from allocator.kernels.address_space import TAKEN
from allocator.kernels.counts import Calls
from allocator.kernels.fault_plans import Chance, Exhaustion, Plans
from allocator.kernels.system import Answer, Errno, Plan
from archcalc import machines
from archcalc.calculator import figures as figures_of
from archcalc.calculator.figures import Figures
from archcalc.machines.options import MachineOptions
from archcalc.reading.errors import Fault, ScenarioFault, UsageFault
from archcalc.reading.fields import Group
from archcalc.scenarios.fields import OPTIONS
from archcalc.scenarios.load import Scenario, Step

DEFAULT_SIZE = 1 << 20
DEFAULT_MOST = 1_000_000


@dataclass(slots=True)
class ScenarioOutcome:
    """The outcome of a scenario: the machine, alive or dead, and how it ended.

    `death` is last_words of the runtime, None where it lives; `during` the step in which it died.
    `judged` are the expectations within the steps, with what was there at that moment.
    """

    scenario: Scenario
    figures: Figures | None = None
    runtime: Allocator | None = None
    calls: Calls | None = None
    booted: bool = False
    death: dict[str, Any] | None = None
    during: str = ""
    allocated: int = 0
    checks: dict[str, bool] = field(default_factory=dict)
    judged: list[Any] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """booted, throw, exit, panic or refused."""
        if self.runtime is None:
            return "refused"
        return "booted" if self.death is None else str(self.death["kind"])

    @property
    def attempts(self) -> Sequence[Attempt]:
        """What mallocinit asked for."""
        return self.runtime.attempts if self.runtime else ()

    @property
    def printed(self) -> list[str]:
        """Every line that the runtime printed."""
        if self.death is not None:
            return list(self.death["printed"])
        return list(self.runtime.printed) if self.runtime else []


class ScriptedAnswer:
    """Answers to calls by helper, place and size; the nth is counted among those that match."""

    def __init__(self, script: Group, refusal: Errno) -> None:
        self.call: str = script["call"]
        self.address: int | None = script.get("address")
        self.size: int | None = script.get("size")
        nth = script.get("nth")
        self.first = 1 if nth is None else nth
        self.last = (1 << 62) if nth is None else nth + script.get("times", 1) - 1
        self.answer = answer_of(script.get("answer", "refused"), refusal)
        self.seen = 0

    def __call__(self, call: str, v: int, n: int) -> Answer | None:
        if call != self.call or self.address not in (None, v) or self.size not in (None, n):
            return None
        self.seen += 1
        return self.answer if self.first <= self.seen <= self.last else None


def answer_of(said: int | str, refusal: Errno) -> Answer:
    """An answer as files say it: an address, `refused`, or `errno=N`."""
    if isinstance(said, int):
        return said
    return refusal if said == "refused" else Errno(int(said.partition("=")[2]))


def plan_of(script: Group, refusal: Errno) -> Plan:
    """What the system does instead of what it would."""
    calls = {"calls": (script["call"],)} if "call" in script else {}
    if "chance" in script:
        return Chance(script["chance"], script.get("seed", 1), refusal, **calls)
    if "after" in script:
        return Exhaustion(script["after"], refusal, **calls)
    return ScriptedAnswer(script, refusal)


def options_of(scenario: Scenario) -> MachineOptions:
    """The machine of a scenario, as `boot` takes it."""
    machine = scenario.section("machine")
    given = {key: machine[key] for key in OPTIONS if key in machine}
    if "taken" in given:
        given["taken"] = tuple((part["from"], part["to"]) for part in given["taken"])
    if "maps" in given:
        given["maps"] = Path(scenario.file).parent / given["maps"]
    return MachineOptions(**given)


class ScenarioRun:
    """One scenario being carried out."""

    def __init__(self, scenario: Scenario, judge: Callable[[ScenarioOutcome, Group, str], Any]) -> None:
        self.scenario = scenario
        self.judge = judge
        self.outcome = ScenarioOutcome(scenario)
        self.objects: list[int] = []
        self.labels: dict[str, list[int]] = {}
        self.stacks: list[tuple[int, int, int | None]] = []
        self.arenas: dict[str, tuple[Any, list[int]]] = {}  # each with what was allocated there
        self.plans: list[Plan] = []

    def run(self) -> ScenarioOutcome:
        """Boots and does every step. Raises ScenarioFault for what no program can ask."""
        scenario, outcome = self.scenario, self.outcome
        if scenario.profile is None:
            return outcome
        try:
            figures = figures_of.compute(scenario.profile, dict(scenario.section("set")), scenario.go)
            runtime = scenario.section("runtime")
            options = replace(
                options_of(scenario),
                godebug=tuple(runtime.get("godebug", {}).items()),
                gomemlimit=runtime.get("gomemlimit"),
            )
            rt = machines.prepare(
                figures,
                options,
                seed=runtime.get("seed", 1),
                mem_profile_rate=runtime.get("mem_profile_rate", 0),
            )
        except UsageFault as fault:
            raise _located(fault, scenario) from None
        outcome.figures = figures
        outcome.runtime, outcome.calls = rt, rt.observe()
        self.install(scenario.said.get("os", ()))
        if not self.attempt(Step(0, "boot", None, scenario.line, 1), lambda: self.boot(rt, runtime)):
            return outcome
        for step in scenario.steps:
            if not self.attempt(step, lambda step=step: self.do(rt, step)):  # type: ignore[misc]
                return outcome
        return outcome

    def attempt(self, step: Step, act: Callable[[], None]) -> bool:
        """Does one thing; False when the runtime died of it."""
        rt = self.outcome.runtime
        assert rt is not None
        try:
            act()
        except Death as death:
            self.outcome.death = rt.last_words(death)
            self.outcome.during = "boot" if not self.outcome.booted else str(step)
            return False
        except (BadRequest, BadType) as wrong:
            place = (step.line, step.column)
            raise self.scenario.fault("request", f"{step}: {wrong}", "what a program can do", place) from None
        return True

    def boot(self, rt: Allocator, runtime: Group) -> None:
        rt.start(runtime.get("gogc", -1), 1)
        self.outcome.checks = {check.id: check.ok for check in rt.boot_checks()}
        rt.procresize(max(runtime.get("procs", 1), 1))
        self.outcome.booted = True

    def install(self, scripts: Sequence[Group]) -> None:
        rt = self.outcome.runtime
        assert rt is not None
        self.plans += [plan_of(script, rt.system.refusal) for script in scripts]
        rt.system.plan = Plans(self.plans) if self.plans else None

    def do(self, rt: Allocator, step: Step) -> None:
        """One step."""
        getattr(self, f"_{step.name}")(rt, step.value if step.value is not None else Group(0, 0), step)

    def _boot(self, rt: Allocator, said: Group, step: Step) -> None:
        """It has booted already."""

    def _malloc(self, rt: Allocator, said: Group, step: Step) -> None:
        sizes: list[int] = said["size"]
        p = self.cache_number(rt, said, step)
        typ = type_of(said.get("type"), rt.config.ptr_size)
        noscan = said.get("noscan", typ is None or None)
        made = self.labels.setdefault(said["as"], []) if "as" in said else None
        for i in range(said.get("count", 1)):
            addr = rt.malloc(sizes[i % len(sizes)], typ, noscan, p=p)
            self.keep(addr, made)

    def keep(self, addr: int, made: list[int] | None) -> None:
        self.objects.append(addr)
        self.outcome.allocated += 1
        if made is not None:
            made.append(addr)

    def cache_number(self, rt: Allocator, said: Group, step: Step) -> int:
        p: int = said.get("p", 0)
        if p >= rt.procs:
            expected = f"0 to {rt.procs - 1}, as runtime.procs says"
            raise self.scenario.fault("request", f"{step}: P {p}", expected, said.at["p"])
        return p

    def _newarray(self, rt: Allocator, said: Group, step: Step) -> None:
        typ = Type(said["element"], 0, KIND_NO_POINTERS, 1, b"", "")
        self.keep(rt.newarray(typ, said["count"]), None)

    def _arena(self, rt: Allocator, said: Group, step: Step) -> None:
        self.arenas[said["as"]] = rt.new_user_arena(), []

    def arena_of(self, said: Group, step: Step) -> tuple[Any, list[int]]:
        if said["arena"] not in self.arenas:
            found, known = f"{step}: no arena is called {said['arena']}", ", ".join(self.arenas)
            raise self.scenario.fault("label", found, known or "a step arena: before it", said.at["arena"])
        return self.arenas[said["arena"]]

    def _arena_alloc(self, rt: Allocator, said: Group, step: Step) -> None:
        arena, inside = self.arena_of(said, step)
        typ = type_of(said["type"], rt.config.ptr_size)
        made = self.labels.setdefault(said["as"], []) if "as" in said else None
        for _ in range(said.get("count", 1)):
            addr = arena.slice(typ, said["length"]) if "length" in said else arena.new(typ)
            inside.append(addr)
            self.keep(addr, made)

    def _free_arena(self, rt: Allocator, said: Group, step: Step) -> None:
        arena, inside = self.arena_of(said, step)
        arena.free()
        if not said.get("dangling", False):
            gone = set(inside)
            self.objects = [addr for addr in self.objects if addr not in gone]

    def _grow(self, rt: Allocator, said: Group, step: Step) -> None:
        size = said.get("size", DEFAULT_SIZE)
        noscan = said.get("noscan", True)
        made = self.labels.setdefault(said["as"], []) if "as" in said else None
        goal = said["to"]
        for _ in range(said.get("most", DEFAULT_MOST)):
            if goal != "death" and all(read_figure(rt, name) >= least for name, least in goal.items()):
                return
            self.keep(rt.malloc(size, noscan=noscan), made)

    def _collect(self, rt: Allocator, said: Group | str | int | float, step: Step) -> None:
        if not isinstance(said, Group):
            self.objects = survivors(self.objects, said)
            rt.collect(self.objects)
            return
        live = survivors(self.objects, said.get("live", "all"))
        for what in ("keep", "drop"):
            for label in said.get(what, ()):
                if label not in self.labels:
                    known = ", ".join(self.labels) or "a name that a step before it gives with as:"
                    raise self.scenario.fault(
                        "label", f"{step}: nothing is called {label}", known, said.at[what]
                    )
        kept = {addr for label in said.get("keep", ()) for addr in self.labels[label]}
        dropped = {addr for label in said.get("drop", ()) for addr in self.labels[label]}
        if kept or dropped:
            chosen = (set(live) | kept) - dropped
            live = [addr for addr in self.objects if addr in chosen]
        rt.collect(live, mode=said.get("mode", "block"))
        self.objects = live

    def _scavenge(self, rt: Allocator, said: Group, step: Step) -> None:
        rt.scavenge(said.get("now"), said.get("limit", 0))

    def _stacks(self, rt: Allocator, said: Group, step: Step) -> None:
        p = self.cache_number(rt, said, step)
        for _ in range(said.get("count", 1)):
            self.stacks.append((rt.stack_alloc(said["size"], p), said["size"], p))

    def _free_stacks(self, rt: Allocator, said: Group, step: Step) -> None:
        count = said.get("count", len(self.stacks))
        freed, self.stacks = self.stacks[:count], self.stacks[count:]
        for addr, size, p in freed:
            rt.stack_free(addr, size, p)

    def _finalizers(self, rt: Allocator, said: Group, step: Step) -> None:
        for addr in self.objects[: said.get("count", len(self.objects))]:
            rt.set_finalizer(addr)

    def _run_finalizers(self, rt: Allocator, said: Group, step: Step) -> None:
        rt.run_finalizers()

    def _take(self, rt: Allocator, said: Group, step: Step) -> None:
        space = rt.kernel.space
        if said["from"] >= said["to"]:
            raise self.scenario.fault(
                "request", f"{step}: ends where it begins", "an end after its start", said.at["to"]
            )
        space.place(said["from"], said["to"], TAKEN)

    def _answers(self, rt: Allocator, said: Sequence[Group], step: Step) -> None:
        self.plans = []
        self.install(said)

    def _expect(self, rt: Allocator, said: Group, step: Step) -> None:
        self.outcome.judged.append(self.judge(self.outcome, said, str(step)))


def survivors(objects: list[int], live: str | int | float) -> list[int]:
    """Which objects live on: of a share, evenly spaced, so that the rest is full of holes."""
    if live == "all":
        return list(objects)
    if live == "none" or not objects:
        return []
    assert not isinstance(live, str)
    wanted = min(int(live * len(objects)) if isinstance(live, float) else live, len(objects))
    n = len(objects)
    return [addr for i, addr in enumerate(objects) if (i + 1) * wanted // n > i * wanted // n]


def type_of(said: Group | None, ptr_size: int) -> Type | None:
    """The type that a step describes."""
    if said is None:
        return None
    size, pointers = said["size"], said.get("pointers", [])
    words = range(size // ptr_size) if pointers == "all" else sorted(set(pointers))
    mask = 0
    for word in words:
        mask |= 1 << word
    length = (len(bin(mask)) - 2 + 7) // 8
    ptrdata = mask.bit_length() * ptr_size
    kind = 0 if mask else KIND_NO_POINTERS
    return Type(size, ptrdata, kind, ptr_size, mask.to_bytes(length, "little"), said.get("name", ""))


def read_figure(rt: Allocator, name: str) -> int:
    """A figure that a heap grows to; reading it changes nothing."""
    found = rt.heap_figures()
    return int(found[name] if name in found else rt.counters()[name])


def _located(fault: UsageFault, scenario: Scenario) -> ScenarioFault:
    """A mistake that is in no file is the scenario's, at what it says of constants."""
    place = scenario.place("set" if "set" in scenario.said else "machine")
    for name in ("godebug", "gomemlimit"):
        if any(name.upper() in one.found for one in fault.faults):
            place = scenario.section("runtime").at[name]
    return ScenarioFault(
        *(
            f if f.file else Fault(f.found, f.expected, f.suggestion, f.id, scenario.file, *place)
            for f in fault.faults
        )
    )
