"""Why a machine does not boot, and the nearest machine that does: found by trying, not by a table.

For each reservation that was refused, the rules of the machine are lifted one by one, and
those whose absence lets it be granted are those that refused it. Then each thing that somebody could change
(a limit, a range that is taken, the address bits, the page size, a what-if) is changed alone
until mallocinit runs to its end, by no more than is needed. Where nothing helps alone, everything is
lifted and as much as possible put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations, groupby
from typing import Any

from allocator.interface import Attempt, Unnoticed
from allocator.kernels.address_space import Range
from allocator.kernels.machine import Machine
from archcalc import machines
from archcalc.calculator import figures as figures_of
from archcalc.calculator.figures import Figures
from archcalc.machines.computer import machine_of
from archcalc.machines.options import MachineOptions
from archcalc.questions.boot import Boot, try_boot
from archcalc.reading.errors import UsageFault
from archcalc.reading.words import counted
from archcalc.results.tables import sized

OPTIONS = frozenset(field.name for field in fields(MachineOptions))
MOST = 1 << 52  # no limit that a person could mean is larger
RANGES_TRIED = 256


@dataclass(frozen=True, slots=True)
class Refusal:
    """Attempts in a row that were refused for the same reasons. Sizes in bytes.

    `rules` names what refused them; several where each would do alone, joined by "and" where only
    lifting them together helps.
    """

    count: int
    hint: int
    last_hint: int
    size: int
    rules: tuple[str, ...]

    def __str__(self) -> str:
        where = f"at {self.hint:#x}" if self.count == 1 else f"at {self.hint:#x} to {self.last_hint:#x}"
        times = "" if self.count == 1 else f", {self.count} times"
        rules = ", or ".join(self.rules) or "no rule of this machine's; the system itself"
        return f"{sized(self.size)} {where}{times}: refused by {rules}"


@dataclass(frozen=True, slots=True)
class Mend:
    """One change with which it boots: what to change, to which value, and by how much (bytes, bits, or 0)."""

    what: str
    value: int | str
    more: int
    text: str


@dataclass(frozen=True, slots=True)
class Why:
    """Why one boot failed. `changes` are those that suffice alone.

    Without any, `together` are some that suffice when all are made. `granted` is the reservation that was
    granted before it died, in bytes, 0 without one.
    """

    platform: str
    throw: str | None
    granted: int
    refusals: tuple[Refusal, ...]
    changes: tuple[Mend, ...]
    together: tuple[Mend, ...]
    unnoticed: tuple[Unnoticed, ...] = ()

    def lines(self) -> list[str]:
        """For people."""
        found = [
            f"It dies with: {self.throw}" if self.throw is not None else "It boots, but not as it should:"
        ]
        found += [f"  {refusal}" for refusal in self.refusals]
        for one in self.unnoticed:
            found.append(f"  The reservation of {sized(one.size)} for {one.what} failed unnoticed.")
            found += [f"  Mapped instead, from address 0 on: {sized(n)} at {v:#x}" for v, n in one.mapped]
        if self.throw is None:
            return found
        if self.granted:
            found.append(f"  {sized(self.granted)} were granted; what the runtime asked for next was refused")
        if self.changes:
            found.append("It would boot with any one of these:")
            found += [f"  {change.text}" for change in self.changes]
        elif self.together:
            found.append("No change alone is enough. It would boot with all of these:")
            found += [f"  {change.text}" for change in self.together]
        else:
            found.append("No change of the machine was found with which it boots.")
        return found

    def document(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "throw": self.throw or "",
            "granted": self.granted,
            "refusals": [
                {
                    "count": r.count,
                    "hint": r.hint,
                    "last_hint": r.last_hint,
                    "size": r.size,
                    "rules": list(r.rules),
                }
                for r in self.refusals
            ],
            "unnoticed": [
                {
                    "what": one.what,
                    "size": one.size,
                    "mapped": [{"address": v, "size": n} for v, n in one.mapped],
                }
                for one in self.unnoticed
            ],
            "changes": [_change(change) for change in self.changes],
            "together": [_change(change) for change in self.together],
        }


def _change(change: Mend) -> dict[str, object]:
    return {"what": change.what, "value": change.value, "more": change.more, "text": change.text}


@dataclass(frozen=True, slots=True)
class _World:
    """All that decides a boot."""

    figures: Figures
    options: MachineOptions
    machine: Machine

    def system(self) -> Any:
        """A fresh operating system, or the computer for one."""
        return machines.era(self.figures.generation).system(self.figures, self.options, self.machine)

    def boots(self) -> bool:
        """Whether mallocinit runs to its end."""
        try:
            return try_boot(self.figures, self.options, self.system()).death is None
        except UsageFault:
            return False  # a what-if that only made sense with another one

    def grants(self, attempt: Attempt, refused: int) -> bool:
        """Whether it grants what another one refused, `refused` times in the same size."""
        system = self.system()
        if machines.era(self.figures.generation).HELPERS:
            return bool(system.sys_reserve(attempt.hint, attempt.size)[0])
        boot = try_boot(self.figures, self.options, system)
        return sum(one.size == attempt.size for one in boot.refused) < refused

    def having(self, **changes: object) -> _World:
        """With another machine."""
        return replace(self, machine=replace(self.machine, **changes))  # type: ignore[arg-type]


def explain_failure(figures: Figures, options: MachineOptions | None = None) -> Why | None:
    """Why this machine does not boot, or boots on something that nobody noticed; None where all is well."""
    options = options or MachineOptions()
    world = _World(figures, options, machine_of(figures.profile, options))
    boot = try_boot(figures, options, world.system())
    if boot.death is None and not boot.unnoticed:
        return None
    refusals = tuple(_refusals(world, boot.refused))
    if boot.death is None:
        return Why(figures.platform, None, 0, refusals, (), (), boot.unnoticed)
    changes = (*_changes(world), *_less(world, boot))
    together = () if changes else tuple(_together(world))
    granted = boot.attempts[-1].size if boot.attempts and boot.attempts[-1].answer else 0
    throw = str(boot.death["throw"])
    return Why(figures.platform, throw, granted, refusals, changes, together, boot.unnoticed)


# Which rule refused.

_LIMITS = {
    "ulimit_v": "the limit of the address space (ulimit -v)",
    "rlimit_data": "the limit of data (RLIMIT_DATA)",
    "memlock_limit": "the limit of locked memory (ulimit -l)",
    "max_map_count": "the number of mappings (vm.max_map_count)",
    "commit_limit": "the commit limit",
    "ram_and_swap": "what the machine has of memory and swap",
    "segment_limit": "the largest segment that the kernel lets grow",
}


def _no_line(limit: int) -> str:
    return ""


# The line that sets a limit where the user is: the shell counts these in units of 1024 bytes.
_SHELL: Mapping[str, Callable[[int], str]] = {
    "ulimit_v": lambda limit: f"ulimit -v {-(-limit // 1024)}",
    "rlimit_data": lambda limit: f"ulimit -d {-(-limit // 1024)}",
    "memlock_limit": lambda limit: f"ulimit -l {-(-limit // 1024)}",
    "max_map_count": lambda limit: f"sysctl -w vm.max_map_count={limit}",
}


def _rules(world: _World) -> dict[str, dict[str, object]]:
    """The machine's rules by name, and how to lift each."""
    machine = world.machine
    found: dict[str, dict[str, object]] = {
        words: {name: None} for name, words in _LIMITS.items() if getattr(machine, name) is not None
    }
    if machine.taken:
        found["what is mapped there already"] = {"taken": ()}
    wide = 1 << 8 * int(world.figures.profile.facts["ptr_size"])
    if machine.end < wide:
        found[f"the end of the user's addresses ({machine.end:#x})"] = _wider(machine, wide)
    if not machine.hints_honoured:
        found["the kernel's ignoring of hints"] = {"hints_honoured": True}
    return found


def _wider(machine: Machine, end: int) -> dict[str, object]:
    """Changes to a machine whose user's addresses end there; mappings keep their distance from the end."""
    base = machine.mmap_base
    if base is not None and machine.top_down:
        base += end - machine.end
    return {"high": end, "va_bits": None, "mmap_base": base}


def _refusals(world: _World, refused: Sequence[Attempt]) -> Iterator[Refusal]:
    judged = [
        (attempt, _why_refused(world, attempt, sum(one.size == attempt.size for one in refused)))
        for attempt in refused
    ]
    for (size, rules), group in groupby(judged, lambda pair: (pair[0].size, pair[1])):
        same = [attempt for attempt, _ in group]
        yield Refusal(len(same), same[0].hint, same[-1].hint, size, rules)


def _why_refused(world: _World, attempt: Attempt, refused: int) -> tuple[str, ...]:
    """The rules without which this one reservation would be granted; it was refused so often."""
    rules = _rules(world)

    def granted(lifted: Iterable[str]) -> bool:
        changes: dict[str, object] = {}
        for name in lifted:
            changes |= rules[name]
        return world.having(**changes).grants(attempt, refused)

    alone = tuple(name for name in rules if granted((name,)))
    if alone:
        return alone
    for count in range(2, len(rules) + 1):
        for several in combinations(rules, count):
            if granted(several):
                return (" and ".join(several),)
    return ()


# What would mend it.


def _changes(world: _World) -> Iterator[Mend]:
    """Each change that suffices alone, by no more than needed."""
    yield from _without_sets(world)
    yield from _page_sizes(world)
    yield from _limits(world)
    yield from _smaller_program(world)
    yield from _address_bits(world)
    yield from _ranges(world)
    if not world.machine.hints_honoured and world.having(hints_honoured=True).boots():
        yield Mend("ignore_hints", "no", 0, "a kernel that honours hints")


def _without_sets(world: _World) -> Iterator[Mend]:
    sets = world.figures.sets
    for name in sets:
        rest = {other: value for other, value in sets.items() if other != name}
        try:
            figures = figures_of.compute(world.figures.base, rest)
        except UsageFault:
            continue
        machine = machine_of(figures.profile, world.options)
        if replace(world, figures=figures, machine=machine).boots():
            yield Mend(name, "unset", 0, f"{name} left as it is (without --set {name}=…)")


def _page_sizes(world: _World) -> Iterator[Mend]:
    options, machine = world.options, world.machine
    if options.believed_page_size is not None:
        told = replace(world, options=replace(options, believed_page_size=None))
        if told.boots():
            text = f"a runtime that knows the kernel's page size, {machine.page_size}"
            yield Mend("believed_page_size", machine.page_size, 0, text)
        return
    for size in world.figures.profile.machine["phys_page_sizes"]:
        if size == machine.page_size:
            continue
        other = replace(world.having(page_size=size), options=replace(options, page_size=size))
        if other.boots():
            yield Mend("page_size", size, 0, f"a kernel with pages of {sized(size)} (--page-size {size})")


def _limits(world: _World) -> Iterator[Mend]:
    for name, words in _LIMITS.items():
        now = getattr(world.machine, name)
        if now is None:
            continue
        step = 1 if name == "max_map_count" else 4096
        least = _least(now, step, lambda value, name=name: world.having(**{name: value}).boots())  # type: ignore[misc]
        if least is not None:
            more = least - now
            amount = f"{more} more" if step == 1 else f"{sized(more)} more"
            option = f"--{name.replace('_', '-')} {least}" if name in OPTIONS else ""
            ways = "; ".join(filter(None, (_SHELL.get(name, _no_line)(least), option)))
            told = f" ({ways})" if ways else ""
            yield Mend(name, least, more, f"{words} raised to {least}: {amount}{told}")


def _less(world: _World, boot: Boot) -> Iterator[Mend]:
    """A lower limit of the address space with which it boots: a reservation then fails that nobody looks at.

    The limit is sought below each reservation that was granted.
    """
    limit = world.machine.ulimit_v
    if limit is None or boot.calls is None:
        return
    held = getattr(world.system(), "image_bytes", 0)
    for call in boot.calls:
        if call[0] != "map" or not str(call[-1]).startswith("0x") or "fixed" in call:
            continue
        size = int(call[2])
        lower = (held + size - 1) // 4096 * 4096
        held += -(-size // 4096) * 4096
        if call[3] != "-" or lower >= limit:
            continue
        other = try_boot(world.figures, world.options, world.having(ulimit_v=lower).system())
        if other.death is None and other.unnoticed:
            text = (
                f"{_LIMITS['ulimit_v']} lowered to {lower}: {sized(limit - lower)} less; "
                f"the reservation for {other.unnoticed[0].what} then fails unnoticed "
                f"({_SHELL['ulimit_v'](lower)}; --ulimit-v {lower})"
            )
            yield Mend("ulimit_v", lower, lower - limit, text)


def _least(now: int, step: int, boots: Callable[[int], bool]) -> int | None:
    """The least value above `now`, to within `step`, that boots; None where none does."""
    low, more = now, step
    while not boots(now + more):
        low = now + more
        more *= 2
        if more > MOST:
            return None
    high = now + more
    while high - low > step:
        middle = (low + high) // 2 // step * step
        if middle <= low:
            break
        if boots(middle):
            high = middle
        else:
            low = middle
    return high


def _smaller_program(world: _World) -> Iterator[Mend]:
    """Under a limit of the address space, what the program itself takes counts too."""
    machine = world.machine
    size: int = getattr(getattr(world.system(), "kernel", None), "program_bytes", machine.image_bytes)
    if machine.ulimit_v is None or not size or not world.having(image_size=0).boots():
        return
    low, high = 0, size  # low boots, high does not
    while high - low > 4096:
        middle = (low + high) // 2
        if world.having(image_size=middle).boots():
            low = middle
        else:
            high = middle
    text = f"a program that takes at most {sized(low)} itself: {sized(size - low)} less (--image-size {low})"
    yield Mend("image_size", low, low - size, text)


def _address_bits(world: _World) -> Iterator[Mend]:
    machine = world.machine
    now = (machine.end - 1).bit_length()
    for bits in range(now, 8 * int(world.figures.profile.facts["ptr_size"]) + 1):
        end = 1 << bits
        if end > machine.end and world.having(**_wider(machine, end)).boots():
            text = (
                f"a kernel that gives {counted(bits, 'bit')} of address, {bits - now} more (--va-bits {bits})"
            )
            if bits == now:
                text = f"a kernel that gives all of {counted(bits, 'bit')} of address (--va-bits {bits})"
            yield Mend("va_bits", bits, bits - now, text)
            return


def _ranges(world: _World) -> Iterator[Mend]:
    taken = world.machine.taken[:RANGES_TRIED]
    for i, part in enumerate(taken):
        rest = (*world.machine.taken[:i], *world.machine.taken[i + 1 :])
        if world.having(taken=rest).boots():
            yield _freed(part)
    if not any(world.having(taken=_without(world.machine.taken, part)).boots() for part in taken):
        few = _few_ranges(world)
        if few:
            text = "free at once: " + ", ".join(f"{start:#x}-{end:#x}" for start, end in few)
            yield Mend("taken", text, -sum(end - start for start, end in few), f"these ranges {text}")


def _freed(part: Range) -> Mend:
    span = f"{part.start:#x}-{part.end:#x}"
    return Mend(
        "taken", span, part.start - part.end, f"the range {span} free ({sized(part.end - part.start)})"
    )


def _without(taken: tuple[Range, ...], part: Range) -> tuple[Range, ...]:
    return tuple(other for other in taken if other != part)


def _few_ranges(world: _World) -> tuple[Range, ...]:
    """Ranges that must go together: all are lifted, and put back one by one, the largest first."""
    if not world.machine.taken or not world.having(taken=()).boots():
        return ()
    kept: tuple[Range, ...] = ()
    for part in sorted(world.machine.taken, key=lambda part: part.start - part.end):
        if world.having(taken=(*kept, part)).boots():
            kept = (*kept, part)
    return tuple(part for part in world.machine.taken if part not in kept)


def _together(world: _World) -> Iterator[Mend]:
    """Rules that must all be lifted: all are, and put back as far as it goes."""
    rules = _rules(world)
    lifted = dict(rules)

    def boots(names: Iterable[str]) -> bool:
        changes: dict[str, object] = {}
        for name in names:
            changes |= rules[name]
        return world.having(**changes).boots()

    if not boots(lifted):
        return
    # What nobody can change, the end of the address space, is put back first.
    for name in reversed(rules):
        rest = [other for other in lifted if other != name]
        if boots(rest):
            del lifted[name]
    for name in lifted:
        yield Mend(name, "lifted", 0, f"without {name}")
