"""Where the source's comments and the figures disagree.

What a comment says is a claim: data of the generation (claims.yaml), with where it stands, its
words, and a condition that must hold for it to be right. A finding is a claim whose condition
does not hold on some platforms, with the figures of today and how they come about. Nothing here
knows which claims fail.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import yaml

from allocator.common import sampling
from archcalc import goexpr
from archcalc.calculator import figures as figures_of
from archcalc.calculator.constants import Absent
from archcalc.calculator.explanation import Explanation
from archcalc.calculator.figures import Figures
from archcalc.calculator.structs import StructLayout
from archcalc.generations import Generation, tables
from archcalc.goexpr import ExprError, Scalar, Scope, Value, Within
from archcalc.machines.options import MachineOptions
from archcalc.profiles.profile import Profile
from archcalc.questions.boot import try_boot
from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.words import counted
from archcalc.results.tables import human

NUMBERS: Mapping[str, int] = {"randomBitCount": sampling.RANDOM_BITS}
"""Numbers of all releases that are in function bodies of Go's and that the machines work with."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a comment says, as claims.yaml has it."""

    id: str
    file: str
    line: int
    words: str
    says: str
    holds: str
    computed: str
    explain: tuple[str, ...]
    when: str = "true"
    control: bool = False


class ClaimPlace(NamedTuple):
    """Where a claim's words stand: a line, or 0 where they have gone."""

    file: str
    line: int
    moved_from: int = 0


@dataclass(frozen=True, slots=True)
class Drift:
    """A claim that does not hold: on which platforms, what is so there, and how that comes about.

    `computed` has for each thing that is so the platforms on which it is; `derivation` is that
    of the first platform.
    """

    claim: Claim
    place: ClaimPlace
    computed: Mapping[str, tuple[str, ...]]
    derivation: tuple[Explanation, ...]

    @property
    def platforms(self) -> tuple[str, ...]:
        """All platforms on which the claim does not hold."""
        return tuple(platform for platforms in self.computed.values() for platform in platforms)

    @property
    def told(self) -> str:
        """What is computed, in a line; platforms are named where they differ in it."""
        if len(self.computed) == 1:
            return next(iter(self.computed))
        return "; ".join(f"{text} ({', '.join(on)})" for text, on in self.computed.items())


@cache
def load(generation: Generation) -> tuple[Mapping[str, int], tuple[Claim, ...]]:
    """The numbers and the claims of a generation: those of its base, unless it says otherwise, and its own.

    A folder with a base says in `lines` where the words of its base's claims stand, and in `gone` which
    of them its source does not have.
    """
    below, claims = load(generation.base) if generation.base is not None else (NUMBERS, ())
    text = tables.read(generation.folder, "claims.yaml")
    document = yaml.safe_load(text) if text else {}
    lines, gone = document.get("lines", {}), document.get("gone", ())
    kept = [replace(one, line=lines.get(one.id, one.line)) for one in claims if one.id not in gone]
    own = [Claim(**{**one, "explain": tuple(one["explain"])}) for one in document.get("claims", ())]
    return {**below, **_in_bodies(generation), **document.get("numbers", {})}, (*kept, *own)


def _in_bodies(generation: Generation) -> dict[str, int]:
    """What a generation's tables have of numbers in function bodies, by which its machine is configured."""
    rows = [generation.rows[name][0] for name in generation.names("body", reported=False)]
    return {row.name: int(goexpr.evaluate(row.formula, Scope()).value) for row in rows}


def compute(
    profiles: Sequence[Profile],
    sets: Mapping[str, int | str] | None = None,
    find: Callable[[Claim], ClaimPlace] | None = None,
) -> tuple[list[Drift], list[Claim]]:
    """The claims that do not hold on some of the platforms, and those whose words have gone.

    `sets` may also set the numbers of the claims. `find` tells where a claim's words stand; without,
    they are where the generation has them. Raises UsageFault, as figures.compute.
    """
    generation = figures_of.compute(profiles[0]).generation
    numbers, claims = load(generation)
    given = dict(sets or {})
    own = {name: _number(name, given.pop(name)) for name in list(given) if name in numbers}
    scopes = [_ClaimScope(figures_of.compute(one, given), {**numbers, **own}) for one in profiles]
    found, gone = [], []
    for claim in claims:
        place = find(claim) if find is not None else ClaimPlace(claim.file, claim.line)
        if not place.line:
            gone.append(claim)
            continue
        try:
            drift = judge(claim, scopes, place)
        except UsageFault:
            if not generation.tree:
                raise
            continue  # It speaks of a figure that the tree does not give; what those are has been noted.
        if drift is not None:
            found.append(drift)
    return found, gone


def count(profiles: Sequence[Profile]) -> int:
    """How many claims there are of the generation."""
    return len(load(figures_of.compute(profiles[0]).generation)[1])


def _number(name: str, value: int | str) -> int:
    if not isinstance(value, int):
        raise UsageFault(Fault(f"{name} set to {value}", "a number", id="set-invalid"))
    return value


def judge(claim: Claim, scopes: Sequence[_ClaimScope], place: ClaimPlace) -> Drift | None:
    """One claim on all platforms; None where it holds on all that it speaks of."""
    computed: dict[str, tuple[str, ...]] = {}
    first: Figures | None = None
    for scope in scopes:
        if not scope.true(claim.when) or scope.true(claim.holds):
            continue
        first = first or scope.figures
        text = scope.filled(claim.computed)
        computed[text] = (*computed.get(text, ()), scope.figures.platform)
    if first is None:
        return None
    return Drift(claim, place, computed, tuple(first.explain(name) for name in claim.explain))


# ---- what conditions can name ---------------------------------------------------------------


class _ClaimScope(Within):
    """The figures of a platform, the numbers of the claims, and the measures."""

    def __init__(self, figures: Figures, numbers: Mapping[str, int]) -> None:
        super().__init__(figures.engine.view("layout"))
        self.figures = figures
        self.numbers = numbers
        self._measured: dict[str, int | Fraction] = {}

    def lookup(self, name: str) -> Value | None:
        if name in self.numbers:
            return goexpr.untyped(self.numbers[name])
        package, _, own = name.partition(".")
        if package == "measure" and own in MEASURES:
            if own not in self._measured:
                self._measured[own] = MEASURES[own](self.figures, self.numbers)
            return goexpr.untyped(self._measured[own])
        value = super().lookup(name)
        # A comment's arithmetic is a person's, which knows no word size.
        return goexpr.untyped(value.value) if value is not None else None

    def struct(self, name: str) -> StructLayout | None:
        return self.figures.engine.struct(name)

    def value(self, expression: str) -> Scalar:
        """An expression's value. Raises UsageFault where a what-if leaves it without one."""
        try:
            return goexpr.evaluate(expression, self).value
        except (ExprError, Absent) as error:
            raise UsageFault(
                Fault(f"{self.figures.platform}: {expression}: {error}", id="claim-invalid")
            ) from None

    def true(self, condition: str) -> bool:
        """Whether a condition holds: its && and || decide from left to right, as a program's do."""
        return any(
            all(self.value(part) is True for part in option.split("&&")) for option in condition.split("||")
        )

    def filled(self, template: str) -> str:
        """A text with its {EXPRESSION:FORMAT} replaced by values."""
        return re.sub(r"\{([^{}]+?)(?::(#x|04x|size|percent|\.2f))?\}", self._shown, template)

    def _shown(self, match: re.Match[str]) -> str:
        value, form = self.value(match[1]), match[2]
        if isinstance(value, str) or form is None:
            return str(value)
        if form == "size":
            return human(int(value)) or f"{counted(int(value), 'byte')}"
        if form == "percent":
            return f"{float(value) * 100:.1f}%"
        return format(float(value) if form == ".2f" else int(value), form)


# ---- measures: what no constant has ---------------------------------------------------------

Measure = Callable[[Figures, Mapping[str, int]], int | Fraction]
MEASURES: dict[str, Measure] = {}


def _measure(function: Measure) -> Measure:
    MEASURES[function.__name__.removeprefix("_")] = function
    return function


@_measure
def _hints_beyond_39_bits(figures: Figures, numbers: Mapping[str, int]) -> int:
    """Hints whose reservation ends beyond 2^39."""
    size = figures.layout.reservation_size
    return sum(hint.address + size > 1 << 39 for hint in figures.layout.hints)


@_measure
def _bitmap_offset(figures: Figures, numbers: Mapping[str, int]) -> int:
    """Bytes from the beginning of what mallocinit reserves to the first of the bitmap.

    Which of bitmap and spans table comes first is seen in a machine that has booted.
    """
    runtime = try_boot(figures, beside_figures=True).runtime
    starts = {region.name: region.base for region in reversed(runtime.regions())} if runtime else {}
    spans_first = not starts or starts["spans"] < starts["arena"] - figures.layout.bitmap_size
    return figures.layout.spans_size if spans_first else 0


@_measure
def _conflict_unnoticed(figures: Figures, numbers: Mapping[str, int]) -> int:
    """Whether hint 0 is taken although a page in the middle of what it reserves is somebody else's."""
    hint, size = figures.layout.hints[0].address, figures.layout.reservation_size
    middle = hint + size // 2 & -(1 << 20)
    options = MachineOptions(taken=((middle, middle + (1 << 20)),))
    boot = try_boot(figures, options, beside_figures=True)
    return int(bool(boot.attempts) and boot.attempts[0].hint == hint == boot.attempts[0].answer)


@_measure
def _smallest_growth(figures: Figures, numbers: Mapping[str, int]) -> int:
    """Bytes that mheap.grow asks for at least when _HeapAllocChunk is refused."""
    return min(int(figures.constants["_HeapAllocChunk"]), numbers["growUnit"])


@_measure
def _longest_listed_run(figures: Figures, numbers: Mapping[str, int]) -> int:
    """Pages of the longest run that has a list of its own: lists are indexed by it (mheap.go)."""
    lists = figures.structs["mheap"].field("free").size // figures.structs["mSpanList"].size
    return lists - 1


@_measure
def _dead_stack_orders(figures: Figures, numbers: Mapping[str, int]) -> int:
    """Orders of stacks that stackalloc never takes from a free list."""
    return sum(order.dead for order in figures.layout.stack_orders)


@_measure
def _most_objects(figures: Figures, numbers: Mapping[str, int]) -> int:
    """Objects in a span of whichever class has most."""
    classes = figures.size_classes
    return max(classes.objects(number) for number in range(1, len(classes)))


@_measure
def _most_periods(figures: Figures, numbers: Mapping[str, int]) -> Fraction:
    """Periods of the profiler to the next sample at most: -ln of the least random number."""
    return Fraction(numbers["randomBitCount"] * math.log(2))


@_measure
def _bitmap_piece(figures: Figures, numbers: Mapping[str, int]) -> int:
    """Bytes of bitmap that are mapped at a time (mapBits)."""
    return max(numbers["bitmapChunk"], int(figures.profile.facts["phys_page_size"]))


class WastedShare(NamedTuple):
    """A size and the share of what it is given that it wastes."""

    share: Fraction
    size: int


@cache
def _overhead(sizes: tuple[int, ...], spans: tuple[int, ...], objects: tuple[int, ...]) -> Fraction:
    found = Fraction(0)
    for number in range(1, len(sizes)):
        # The smallest size of a class has the largest overhead.
        smallest = max(sizes[number - 1] + 1, 129)
        if smallest <= sizes[number]:
            found = max(found, Fraction(spans[number], smallest * objects[number]) - 1)
    return found


def _classes(figures: Figures) -> list[tuple[int, int]]:
    """Of each class the largest size that the class before it holds, and its own."""
    sizes = figures.size_classes.class_to_size
    return list(pairwise(sizes))


@_measure
def _sizes_rounded_worse(figures: Figures, numbers: Mapping[str, int]) -> int:
    """Sizes that waste more than 12.5% of their class."""
    # n wastes more than an eighth of s where 8*(s-n) > s, so from before+1 to the last n below 7*s/8.
    return sum(max(0, (7 * size - 1) // 8 - before) for before, size in _classes(figures))


def _worst(figures: Figures, low: int) -> WastedShare:
    """The size from `low` on that wastes the largest share of its class."""
    found = [(max(before + 1, low), size) for before, size in _classes(figures) if size >= low]
    wasted = (WastedShare(Fraction(size - n, size), n) for n, size in found)
    return max(wasted, key=lambda one: (one.share, -one.size), default=WastedShare(Fraction(0), low))


@_measure
def _worst_rounded(figures: Figures, numbers: Mapping[str, int]) -> int:
    """The size above the smallest classes that wastes most by rounding."""
    return _worst(figures, int(figures.constants["_TinySize"]) + 1).size


@_measure
def _worst_rounding(figures: Figures, numbers: Mapping[str, int]) -> Fraction:
    """What that size wastes."""
    return _worst(figures, int(figures.constants["_TinySize"]) + 1).share


@_measure
def _worst_rounded_large(figures: Figures, numbers: Mapping[str, int]) -> int:
    """The size above smallSizeMax that wastes most by rounding."""
    return _worst(figures, int(figures.constants["smallSizeMax"]) + 1).size


@_measure
def _worst_rounding_large(figures: Figures, numbers: Mapping[str, int]) -> Fraction:
    """What that size wastes."""
    return _worst(figures, int(figures.constants["smallSizeMax"]) + 1).share


@_measure
def _worst_overhead(figures: Figures, numbers: Mapping[str, int]) -> Fraction:
    """What a full span has beyond what was asked for, as a share of that; at most, from 129 bytes on."""
    classes = figures.size_classes
    count = range(len(classes))
    return _overhead(
        classes.class_to_size, tuple(map(classes.span_bytes, count)), tuple(map(classes.objects, count))
    )


# ---- the comments in a tree -----------------------------------------------------------------


class Comments:
    """The texts of a source tree, in which claims are looked for by their words."""

    def __init__(self, root: Path) -> None:
        self.src = next((p for p in (root / "src", root) if (p / "runtime").is_dir()), None)
        if self.src is None:
            found = "is not a folder" if not root.is_dir() else "has no src/runtime"
            raise UsageFault(Fault(f"{root} {found}", "a Go source tree (a GOROOT)", id="no-tree"))
        self._words: dict[str, tuple[str, list[int], list[int]]] = {}

    def find(self, claim: Claim) -> ClaimPlace:
        """Where a claim's words are in the tree: where they were, or nearest to it."""
        text, starts, lines = self._read(claim.file)
        wanted = _plain(claim.words)
        found = [lines[starts.index(at)] for at in _occurrences(text, wanted) if at in starts]
        if not found:
            return ClaimPlace(claim.file, 0)
        line = min(found, key=lambda line: abs(line - claim.line))
        return ClaimPlace(claim.file, line, claim.line if line != claim.line else 0)

    def _read(self, file: str) -> tuple[str, list[int], list[int]]:
        """A file's words with one space between, where each begins, and the line that it is in."""
        if file not in self._words:
            assert self.src is not None
            try:
                source = (self.src / file).read_bytes().decode("utf-8", "replace")
            except OSError:
                source = ""
            text, starts, lines = "", [], []
            for number, line in enumerate(source.split("\n"), 1):
                for word in _plain(line).split():
                    starts.append(len(text))
                    lines.append(number)
                    text += word + " "
            self._words[file] = text, starts, lines
        return self._words[file]


def _plain(line: str) -> str:
    """A line's words without what only marks a comment or draws a table."""
    return " ".join(re.sub(r"//|/\*|\*/|(?<!\w)\*(?=\s)|\|", " ", line).split())


def _occurrences(text: str, wanted: str) -> list[int]:
    found, at = [], text.find(wanted)
    while at >= 0:
        found.append(at)
        at = text.find(wanted, at + 1)
    return found
