"""What would stop a machine that boots: the nearest value of each thing that can be changed alone.

Nothing is estimated. Each limit, the program's size and place, the address bits, the page size and what is
taken are changed by themselves from the present machine until it does not boot as it should, and the border
is sought by halves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from allocator.kernels import new_kernel
from allocator.kernels.heard import Endings, Heard
from allocator.kernels.machine import Machine
from archcalc import machines
from archcalc.calculator import figures as figures_of
from archcalc.calculator.figures import Figures
from archcalc.machines.computer import GOOS_OF, machine_of
from archcalc.machines.options import MachineOptions
from archcalc.profiles.profile import Profile
from archcalc.questions.boot import Boot, try_boot
from archcalc.reading.errors import UsageFault
from archcalc.reading.words import counted
from archcalc.results.tables import sized

K = 1024
MOST = 1 << 44  # bytes; a limit above it stops nothing
STRICT = 2  # vm.overcommit_memory under which Linux keeps to a commit limit
PAGE_SIZES = tuple(1 << shift for shift in range(9, 25))

_BYTES: Mapping[str, tuple[str, str]] = {
    "ulimit_v": ("an address space limit", "ulimit -v {k}"),
    "rlimit_data": ("a data limit", "ulimit -d {k}"),
    "commit_limit": ("a commit limit", ""),
    "ram_and_swap": ("a machine with memory and swap", ""),
}
"""The options that limit bytes, and the shell's own line, which counts in units of 1024 bytes."""


@dataclass(frozen=True, slots=True)
class Border:
    """One change that stops the machine. Values in bytes, addresses, bits or mappings, as `what` has them.

    `stops` is the nearest value that does, `enough` the last one on the way there that does not; `now` is the
    present one, None where there is no limit. `line` sets it in a shell, `option` on this command line.
    """

    what: str
    now: int | None
    enough: int | None
    stops: int
    death: str
    text: str
    line: str = ""
    option: str = ""

    def __str__(self) -> str:
        ways = "; ".join(filter(None, (self.line, self.option)))
        return f"{self.text}{f' ({ways})' if ways else ''}: {self.death}"

    def document(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "what": self.what,
            "now": self.now,
            "enough": self.enough,
            "stops": self.stops,
            "death": self.death,
            "text": self.text,
            "line": self.line,
            "option": self.option,
        }

    @property
    def distance(self) -> tuple[int, float]:
        """How far off it is: limits that are set, by a factor; those that could be; then all else."""
        if self.what not in (*_BYTES, "max_map_count", "segment_limit", "image_size"):
            return 2, 0
        if self.now is None or self.now > MOST:
            return 1, -self.stops
        return 0, max(self.now, self.stops, 1) / max(min(self.now, self.stops), 1)


@dataclass(frozen=True, slots=True)
class Stops:
    """What would stop a machine that boots, the nearest first."""

    stops: tuple[Border, ...]

    def lines(self) -> list[str]:
        """For people."""
        if not self.stops:
            return ["It boots, and no single change was found that stops it."]
        return [
            "It boots. Each of these alone would stop it, the nearest limits first:",
            *(f"  {one}" for one in self.stops),
        ]

    def document(self) -> list[dict[str, object]]:
        """As JSON has it."""
        return [one.document() for one in self.stops]


@dataclass(frozen=True, slots=True)
class _World:
    """A machine that boots, and others like it."""

    figures: Figures
    options: MachineOptions
    # What is known of machines by their Config: most that are tried are answered as another one was.
    known: dict[Any, Endings] = field(default_factory=dict)

    @property
    def machine(self) -> Machine:
        return machine_of(self.figures.profile, self.options)

    def dies_of(self, **changes: Any) -> str:
        """How it ends with other options; nothing where it boots as it should."""
        try:
            return self._end(replace(self.options, **changes))
        except UsageFault:
            return ""  # no such machine

    def guessed(self, **changes: Any) -> str:
        """As `dies_of`, of a runtime that has not heard of the changes: more is known of it already."""
        told = machines.config_of(self.figures, self.options)
        try:
            return self._end(replace(self.options, **changes), told)
        except UsageFault:
            return ""

    @property
    def foretells(self) -> bool:
        """Whether how a machine ends can be known without starting it."""
        return bool(self.known)

    def _end(self, options: MachineOptions, config: Any = None) -> str:
        figures = self.figures
        told = machines.config_of(figures, options) if config is None else config
        machine = machine_of(figures.profile, options)
        kernel = machines.era(figures.generation).kernel(told, machine)
        if kernel is None:
            return _death(try_boot(figures, options, config=config))
        endings = self.known.setdefault(told, Endings())
        end = endings.foretell(kernel)
        if end is None:
            heard = Heard(machines.era(figures.generation).kernel(told, machine))
            end = _death(try_boot(figures, options, heard, config=config))
            endings.learn(heard.heard, end)
        return end


def _death(boot: Boot) -> str:
    if boot.death is not None:
        return str(boot.death["throw"]) or str(boot.death["kind"])
    if boot.unnoticed:
        return f"it boots, but the reservation for {boot.unnoticed[0].what} fails unnoticed"
    return ""


def what_stops(figures: Figures, options: MachineOptions | None = None) -> Stops:
    """What would stop this machine, which boots as it should."""
    world = _World(figures, options or MachineOptions())
    found = [
        *_limits(world),
        *_program(world),
        *_bits(world),
        *_pages(world),
        *_ranges(world),
        *_hints(world),
    ]
    return Stops(tuple(sorted(found, key=lambda stop: stop.distance)))


def limits_of(profile: Profile) -> frozenset[str]:
    """The limits that the kernel of a profile's system knows."""
    from allocator.kernels import BREAKS, KERNELS

    goos = profile.goos
    if goos not in KERNELS and goos not in BREAKS:
        goos = GOOS_OF[str(profile.facts["mem"])]
    return new_kernel(goos, Machine(), ptr_size=int(profile.facts["ptr_size"])).limits


def _border(
    stops: Callable[[int], str],
    good: int,
    bad: int,
    step: int,
    guess: Callable[[int], str] | None = None,
) -> tuple[int, int]:
    """The last good and the first bad of multiples of `step`, on the way from a good value to a bad one.

    Where a cheap `guess` of what stops it holds on both sides of its border, that is the border.
    """
    if guess is not None:
        last, first = _border(guess, good, bad, step)
        if not stops(last) and stops(first):
            return last, first
    while abs(good - bad) > step:
        middle = (good + bad) // 2 // step * step
        if middle in (good, bad):
            break
        if stops(middle):
            bad = middle
        else:
            good = middle
    return good, bad


def _lowered(stops: Callable[[int], str], now: int | None, step: int, most: int) -> tuple[int, int] | None:
    """Where a limit that is lowered from `now` begins to stop it; None where none does."""
    good = most if now is None else min(now, most)
    if stops(good):
        return None  # what a larger one that is set allows, and this does not: nothing was found out
    while good >= step and not stops(good // 2 // step * step):
        good = good // 2 // step * step
        if not good:
            return None
    return _border(stops, good, good // 2 // step * step, step)


# The limits.


def _limits(world: _World) -> Iterator[Border]:
    known = limits_of(world.figures.profile)
    machine = world.machine
    for name, (words, shell) in _BYTES.items():
        if name in known:
            yield from _limit(world, name, words, shell, {})
    if {"commit_limit", "ram_and_swap"} <= known and machine.overcommit != STRICT:
        words = "with vm.overcommit_memory=2 a commit limit"
        yield from _limit(world, "commit_limit", words, "", {"overcommit": STRICT})
    if "segment_limit" in known:
        yield from _segment(world)
    if "max_map_count" in known:
        yield from _maps(world)


def _limit(world: _World, name: str, words: str, shell: str, beside: dict[str, int]) -> Iterator[Border]:
    now = getattr(world.machine, name)

    def stops(value: int) -> str:
        return world.dies_of(**{name: value, **beside})

    found = _lowered(stops, now, K, MOST)
    if found is None:
        return
    enough, least = found
    text = f"{words} of {least // K}k; {enough // K}k is enough, {_now(now)}"
    option = f"--{name.replace('_', '-')} {least // K}k" if name != "ram_and_swap" else ""
    if beside:
        option += f" --overcommit {STRICT}"
    yield Border(name, now, enough, least, stops(least), text, shell.format(k=least // K), option)


def _now(limit: int | None) -> str:
    if limit is None or limit > MOST:
        return "now unlimited"
    return f"now {limit // K}k" if limit % K == 0 else f"now {sized(limit)}"


def _segment(world: _World) -> Iterator[Border]:
    now = world.machine.segment_limit
    figures = world.figures

    def stops(value: int) -> str:
        sets = {**figures.sets, "segment_limit": value}
        try:
            return _death(try_boot(figures_of.compute(figures.base, sets, figures.generation), world.options))
        except UsageFault:
            return ""

    found = _lowered(stops, now, K, MOST)
    if found is not None:
        enough, least = found
        text = f"a kernel that lets a segment have {least // K}k; {enough // K}k is enough, {_now(now)}"
        option = f"--set segment_limit={least // K}k"
        yield Border("segment_limit", now, enough, least, stops(least), text, "", option)


def _maps(world: _World) -> Iterator[Border]:
    now = world.machine.max_map_count

    def stops(value: int) -> str:
        return world.dies_of(max_map_count=value)

    found = _lowered(stops, now, 1, 1 << 20)
    if found is None:
        return
    enough, least = found
    had = "now unlimited" if now is None else f"now {now}"
    text = f"a limit of {counted(least, 'mapping')}; {enough} is enough, {had}"
    line = f"sysctl -w vm.max_map_count={least}"
    yield Border("max_map_count", now, enough, least, stops(least), text, line, f"--max-map-count {least}")


# The program.


def _program(world: _World) -> Iterator[Border]:
    machine = world.machine
    if machine.ulimit_v is not None and machine.ulimit_v < MOST:
        now = machine.image_bytes

        def larger(value: int) -> str:
            return world.dies_of(image_size=value)

        if not larger(now) and larger(machine.ulimit_v):
            enough, least = _border(larger, now // K * K, -(-machine.ulimit_v // K) * K, K)
            text = f"a program that takes {least // K}k itself under this limit, {_now(now)}"
            yield Border(
                "image_size", now, enough, least, larger(least), text, "", f"--image-size {least // K}k"
            )
    end = machine.data_end

    def further(value: int) -> str:
        return world.dies_of(data_end=value)

    def guessed(value: int) -> str:
        return world.guessed(data_end=value)

    last = machine.end // machine.page_size * machine.page_size
    if end and further(last):
        page = machine.page_size
        guess = guessed if world.foretells else None
        enough, least = _border(further, end // page * page, last, page, guess)
        text = f"a program whose data ends at {least:#x}, now {end:#x}"
        yield Border("data_end", end, enough, least, further(least), text, "", f"--data-end {least:#x}")


# The address space.


def _bits(world: _World) -> Iterator[Border]:
    now = (world.machine.end - 1).bit_length()
    for bits in range(now - 1, 19, -1):
        death = world.dies_of(va_bits=bits)
        if death:
            text = f"addresses of {counted(bits, 'bit')}, now {now}"
            yield Border("va_bits", now, bits + 1, bits, death, text, "", f"--va-bits {bits}")
            return


def _pages(world: _World) -> Iterator[Border]:
    now = world.machine.page_size
    smaller = [size for size in reversed(PAGE_SIZES) if size < now]
    for sizes in (smaller, [size for size in PAGE_SIZES if size > now]):
        enough = now
        for size in sizes:
            death = world.dies_of(page_size=size)
            if death:
                text = f"a kernel with pages of {sized(size)}, now {sized(now)}"
                yield Border("page_size", now, enough, size, death, text, "", f"--page-size {size}")
                break
            enough = size


def _ranges(world: _World) -> Iterator[Border]:
    """Neighbours who take all from one end of the addresses on."""
    machine = world.machine
    page = machine.page_size
    low, end = machine.low // page * page, machine.end // page * page
    given = world.options.taken

    def below(value: int) -> str:
        return world.dies_of(taken=(*given, (low, value))) if value > low else ""

    def above(value: int) -> str:
        return world.dies_of(taken=(*given, (value, end))) if value < end else ""

    for stops, good, bad, words in (
        (below, low, end, "all addresses below {} taken"),
        (above, end, low, "all addresses from {} on taken"),
    ):
        if not stops(bad):
            continue
        enough, least = _border(stops, good, bad, page)
        taken = f"{low:#x}-{least:#x}" if stops is below else f"{least:#x}-{end:#x}"
        text = words.format(f"{least:#x}")
        yield Border("taken", None, enough, least, stops(least), text, "", f"--taken {taken}")


def _hints(world: _World) -> Iterator[Border]:
    death = world.dies_of(ignore_hints=True) if world.machine.hints_honoured else ""
    if death:
        yield Border("ignore_hints", 0, 0, 1, death, "a kernel that ignores hints", "", "--ignore-hints")
