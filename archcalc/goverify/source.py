"""A Go source tree against the calculator: every value that it has, from the tree's own formulas."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from allocator.common import sizeclasses
from allocator.common.sizeclasses import SizeClasses
from archcalc.calculator import goexpr, structs
from archcalc.calculator.constants import SIZE_CLASS_PARAMETERS
from archcalc.calculator.figures import Figures
from archcalc.calculator.goexpr import ExprError, Scope, Value
from archcalc.calculator.structs import StructError, StructLayout
from archcalc.generations import Generation
from archcalc.goverify import era, gofile, mallocinit
from archcalc.goverify.comparison import Change, Comparison, Difference, Scalar, explained
from archcalc.goverify.era import Era
from archcalc.goverify.gofile import Broken, Const
from archcalc.goverify.mallocinit import Attempt
from archcalc.goverify.tree import Missing, PackageScope, PortTree, SourceTree, Words

if TYPE_CHECKING:
    from tree_sitter import Node

SYS = ("runtime/internal/sys", "internal/runtime/sys", "internal/goarch", "internal/goos", "runtime")
"""Where package sys stands, and where later and earlier generations have what is in it."""
TABLES = ("class_to_size", "class_to_allocnpages", "class_to_divmagic", "size_to_class8", "size_to_class128")
MAGIC = ("shift", "shift2", "mul", "baseMask")


@dataclass
class Verified:
    """What came of comparing a tree: its generation, a comparison a port, what could not be read."""

    version: str
    era: Era
    ports: list[Comparison] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


def verify(
    tree: SourceTree, targets: Sequence[Figures], progress: Callable[[int], None] = lambda _: None
) -> Verified:
    """The tree against the figures of some ports."""
    found = Verified(tree.version, era_of(tree))
    for done, figures in enumerate(targets):
        found.ports.append(Port(tree, figures, found.era).compare())
        progress(done + 1)
    found.broken = sorted(tree.broken)
    return found


def port_tree(tree: SourceTree, figures: Figures) -> PortTree:
    """The tree as a platform sees it."""
    ptr_size, reg_size = figures.engine.words
    words = Words(ptr_size, reg_size, _number(figures.profile.facts.get("pc_quantum", 1)))
    return PortTree(tree, figures.profile.goos, figures.profile.goarch, words)


_TELLING = ("runtime/malloc.go", "runtime/mheap.go", "runtime/mgcsweepbuf.go", "runtime/sizeclasses.go")
"""The files that have what generations are told apart by."""


def _number(value: Scalar) -> int:
    return int(value) if not isinstance(value, str) else 0


def era_of(tree: SourceTree) -> Era:
    """The generation, by what the runtime declares for the port that has been there always."""
    if tree.exists("runtime/mheap.c"):
        return Era(
            "a runtime in C", "Go 1.4 or earlier", "it has runtime/mheap.c and lacks _MHeapMap_TotalBits"
        )
    runtime = PortTree(tree, "linux", "amd64", Words(8, 8, 1)).package("runtime")
    declared = {*runtime.consts, *runtime.vars, *runtime.type_texts, *runtime.funcs}
    found = era.of(declared.__contains__)
    missing = [file for file in _TELLING if not tree.exists(file)]
    if missing and not found.known:
        tree.broken |= dict.fromkeys(Broken(file, 0, "is missing") for file in missing)
        return Era("a part of a tree", "unknown", f"it lacks {', '.join(missing)}", current=True)
    return found


class Port:
    """One port's comparison."""

    def __init__(self, tree: SourceTree, figures: Figures, tree_era: Era, recording: bool = False) -> None:
        self.tree = tree
        self.figures = figures
        self.era = tree_era
        self.port = port_tree(tree, figures)
        self.runtime = self.port.package("runtime")
        self.found = Comparison(figures.platform, recording=recording)
        self.attempts: _Attempts | str = "mallocinit is not there"

    def compare(self) -> Comparison:
        """Everything; differences get their formulas, and what they follow from."""
        self._words()
        self._constants()
        self._facts()
        self._structs()
        self._size_classes()
        self._layout()
        self._stack_orders()
        differences = [explained(difference, self.figures) for difference in self.found.differences]
        self.found.differences = self.told(differences)
        return self.found

    def told(self, differences: list[Difference]) -> list[Difference]:
        """Differences with those of them that each follows from."""
        causes = _Causes(self, differences)
        return [causes.told(difference) for difference in differences]

    # ---- constants ----

    def _words(self) -> None:
        words = self.tree.words.get(self.port.goarch)
        file = "cmd/internal/sys/arch.go"
        ours = self.figures.engine.words
        for at, name in enumerate(("fact.ptr_size", "fact.reg_size")):
            if words is None:
                self.found.skip(name, f"the tree does not say in {file}")
            else:
                self.found.value(name, ours[at], words[at], f"{file}:{words.line}")

    def _constants(self) -> None:
        """The constants of runtime and of sys; those too that this port should not have."""
        generation, engine = self.figures.generation, self.figures.engine
        for package in ("runtime", "sys"):
            ours = engine.package(package, reported=False)
            for known in generation.names(package, reported=False):
                own = known.partition(".")[2]
                computed = ours.get(known)
                scope = self._home(package, own)
                if computed is None:
                    if scope is not None and own in scope.consts and self.era.current:
                        self._unexpected(package, own, scope)
                    continue
                name = own if package == "runtime" else known
                if scope is None:
                    self._missing(name, computed, engine.source(known))
                else:
                    self._constant(name, own, known, computed, scope)

    def _home(self, package: str, own: str) -> PackageScope | None:
        """The package of the tree that declares a constant."""
        for path in ("runtime",) if package == "runtime" else SYS:
            scope = self.port.package(path)
            if own in scope.consts:
                return scope
        return None

    def _constant(self, name: str, own: str, known: str, computed: Value, scope: PackageScope) -> None:
        const = scope.consts[own]
        where = f"{const.file}:{const.line}"
        try:
            value = scope.value(own)
        except (ExprError, Missing, StructError) as error:
            if self._excused(const.file) or self.tree.broken:
                # What it follows from may stand where nothing could be read.
                self.found.skip(name, f"{const.file}:{const.line}: {error}")
            else:
                self.found.missing(name, _plain(computed), where, f"{const.formula}: {error}")
            return
        if self.found.value(name, _plain(computed), _plain(value), where, const.formula):
            self._formula(name, known, const)

    def _formula(self, name: str, known: str, const: Const) -> None:
        """Notes a formula that gives the same value in another way."""
        row = self.figures.engine.row(known)
        if row is None or name in self.figures.sets:
            return
        ours = row.formula
        if not _written_in_go(ours):
            theirs = forms(self.figures.generation).get((const.file, row.name))
            if theirs is None and len(_words_of(const.formula)) <= 1:
                return
            ours = theirs or str(self.figures.engine.value(known))
        if ours != const.formula and _words_of(ours) != _words_of(const.formula):
            where = f"{const.file}:{const.line}"
            self.found.changes.append(Change(self.found.platform, name, ours, const.formula, where))

    def _unexpected(self, package: str, own: str, scope: PackageScope) -> None:
        """A constant that the tree declares on a port on which the calculator has none."""
        const = scope.consts[own]
        try:
            value: Scalar | None = _plain(scope.value(own))
        except (ExprError, Missing, StructError):
            value = None
        name = own if package == "runtime" else f"{package}.{own}"
        where = f"{const.file}:{const.line}"
        self.found.value(
            name, None, value, where, const.formula, "not declared on this port, says the calculator"
        )

    def _missing(self, name: str, computed: Value, source: object) -> None:
        """A constant that the tree does not declare for the port."""
        file = str(source).partition(":")[0]
        if not self.era.current:
            self.found.skip(name, "this generation does not have it")
        elif self._excused(file):
            self.found.skip(name, f"{file} could not be read")
        else:
            self.found.missing(name, _plain(computed), file, "the tree does not declare it for this port")

    def _excused(self, file: str) -> bool:
        """Whether something is missing because its file is, or could not be read; a missing one is told."""
        if not self.tree.exists(file):
            self.tree.broken[Broken(file, 0, "is missing")] = None
        return any(broken.file == file for broken in self.tree.broken)

    def _facts(self) -> None:
        """What profiles tell of the system's own constants, beyond those that reports show."""
        for name, computed in self.figures.profile.constants.items():
            if f"runtime.{name}" in self.figures.generation.rows:
                continue
            const = self.runtime.consts.get(name)
            if const is None:
                self.found.skip(name, "the tree does not declare it")
                continue
            try:
                value = _plain(self.runtime.value(name))
            except (ExprError, Missing, StructError) as error:
                self.found.skip(name, str(error))
                continue
            self.found.value(name, computed, value, f"{const.file}:{const.line}", const.formula)

    # ---- types ----

    def _structs(self) -> None:
        engine = self.figures.engine
        for name in engine.declared_structs():
            ours = engine.struct(name)
            scope = self.port.package(SYS[0]) if name not in self.runtime.type_texts else self.runtime
            text = scope.type_texts.get(name)
            if text is None:
                if not self.era.current:
                    self.found.skip(name, "this generation does not have it")
                elif self._excused(engine.declarations[name].file):
                    self.found.skip(name, f"{engine.declarations[name].file} could not be read")
                else:
                    self.found.missing(name, ours.size, ours.file, "the tree does not declare it")
                continue
            where = f"{text.file}:{text.line}"
            try:
                theirs = scope.layout(name)
            except (StructError, ExprError, Missing) as error:
                if not self.era.current or self._excused(text.file) or self.tree.broken:
                    self.found.skip(name, f"{where}: {error}")
                else:
                    self.found.missing(name, ours.size, where, str(error))
                continue
            self._struct(ours, theirs, where)

    def _struct(self, ours: StructLayout, theirs: StructLayout, where: str) -> None:
        name, value = ours.name, self.found.value
        value(name, ours.size, theirs.size, where)
        value(f"{name} align", ours.align, theirs.align, where)
        fields = {one.name: one for one in theirs.fields}
        for one in ours.fields:
            found = fields.pop(one.name, None)
            if found is None:
                self.found.missing(
                    f"{name}.{one.name}", one.offset, where, "the tree's type has no such field"
                )
                continue
            at = f"{theirs.file}:{found.line}"
            same = value(f"{name}.{one.name}", one.offset, found.offset, at, found.type)
            same = value(f"{name}.{one.name} size", one.size, found.size, at, found.type) and same
            if same and one.type != found.type and _words_of(one.type) != _words_of(found.type):
                self.found.changes.append(
                    Change(self.found.platform, f"{name}.{one.name}", one.type, found.type, at)
                )
        for found in fields.values():
            at = f"{theirs.file}:{found.line}"
            value(
                f"{name}.{found.name}",
                None,
                found.offset,
                at,
                found.type,
                "a field that the calculator lacks",
            )

    # ---- tables ----

    def _size_classes(self) -> None:
        ours = self.figures.size_classes
        fresh = self._regenerated()
        for table in TABLES:
            try:
                elements = list(self.runtime.elements(table))
            except (Missing, ExprError) as error:
                var = self.runtime.vars.get(table)
                if var is not None and var.node is not None:
                    self.found.skip(table, f"{var.file}:{var.line}: {error}")
                elif self.era.current and not self._excused("runtime/sizeclasses.go"):
                    why = "the tree has no such table"
                    self.found.missing(table, len(getattr(ours, table)), "runtime/sizeclasses.go", why)
                else:
                    self.found.skip(table, "the tree has no table of it")
                continue
            file = self.runtime.vars[table].file
            wheres = [f"{file}:{at}" for _, at in elements]
            theirs = [value for value, _ in elements]
            if fresh is not None and list(getattr(fresh, table)) != theirs:
                made = f"what mksizeclasses.go makes of {', '.join(_own(p) for p in SIZE_CLASS_PARAMETERS)}"
                self.found.changes.append(
                    Change(self.found.platform, table, made, "another table", wheres[0] if wheres else file)
                )
            if table == "class_to_divmagic":
                self._magic(ours.class_to_divmagic, theirs, wheres)
            else:
                self.found.values(table + "[{}]", getattr(ours, table), _flat(theirs), wheres)

    def _regenerated(self) -> SizeClasses | None:
        """The tables that the tree's constants ask for, where those are not the calculator's."""
        try:
            given = [_number(_plain(self.runtime.value(_own(name)))) for name in SIZE_CLASS_PARAMETERS]
            mine = [_number(_plain(self.figures.engine.value(name))) for name in SIZE_CLASS_PARAMETERS]
            return sizeclasses.compute(*given) if given != mine else None
        except (ExprError, Missing, sizeclasses.SizeClassError):
            return None

    def _magic(
        self, ours: Sequence[tuple[int, ...]], theirs: Sequence[int | tuple[int, ...]], wheres: list[str]
    ) -> None:
        for at in range(max(len(ours), len(theirs))):
            left = ours[at] if at < len(ours) else ()
            right = theirs[at] if at < len(theirs) else ()
            right = right if isinstance(right, tuple) else (right,)
            for part, name in enumerate(MAGIC):
                self.found.value(
                    f"class_to_divmagic[{at}].{name}",
                    left[part] if part < len(left) else None,
                    right[part] if part < len(right) else None,
                    wheres[min(at, len(wheres) - 1)] if wheres else "",
                )

    # ---- the heap's place ----

    def _layout(self) -> None:
        engine = self.figures.engine
        ours = {
            name.partition(".")[2]: int(value.value)
            for name, value in engine.package("layout").items()
            if not isinstance(value.value, str)
        }
        hints = [
            int(value.value)
            for value in engine.family_values("layout.hint")
            if not isinstance(value.value, str)
        ]
        hint = {"hint0": hints[0]}
        func = self.runtime.funcs.get("mallocinit")
        if func is None:
            for name, computed in {**ours, **hint}.items():
                self._unreadable(name, computed, "mallocinit is not there")
            return
        place = f"{func.file}:{func.line}"
        try:
            given = {"firstmoduledata.end": _number(engine.value("fact.data_end").value)}  # type: ignore[arg-type]
            body = self.tree.statements(func)
            attempts = _Attempts(
                mallocinit.Follower(self.runtime, given).follow(body), self.port.words.ptr_size
            )
        except ExprError as error:
            for name, computed in {**ours, **hint}.items():
                self._unreadable(name, computed, f"{place}: mallocinit cannot be followed: {error}")
            return
        theirs = dict(attempts.values())
        self._usable(theirs)
        for name, computed in ours.items():
            if name not in theirs:
                self._unreadable(name, computed, f"{place}: mallocinit reserves nothing of the kind")
                continue
            found, at, formula = theirs[name]
            where = at if ":" in at else f"{func.file}:{at}"
            if self.found.value(name, computed, found, where, formula):
                self._layout_formula(name, formula, where)
        found_hints = attempts.hints
        wheres = [f"{func.file}:{at}" for _, at, _ in found_hints]
        if not found_hints:
            self._unreadable("hint0", hints[0], f"{place}: mallocinit reserves nothing of the kind")
            return
        addresses = [address for address, _, _ in found_hints]
        if self.found.values("hint{}", hints, addresses, wheres, found_hints[0][2]):
            self._layout_formula("hint0", found_hints[0][2], wheres[0])

    def _unreadable(self, name: str, computed: int | None, why: str) -> None:
        """A figure that a tree of this generation should give, and does not."""
        if self.era.current and not self._excused("runtime/malloc.go"):
            self.found.missing(name, computed, "runtime/malloc.go", why)
        else:
            self.found.skip(name, why)

    def _usable(self, theirs: dict[str, tuple[int, str, str]]) -> None:
        """What of the tables can be used: reckoned by the calculator's formulas from the tree's constants."""
        engine = self.figures.engine
        for name in ("bitmap_usable", "spans_usable"):
            row = engine.row(f"layout.{name}")
            if row is None:
                continue
            given = {layout: value for layout, (value, _, _) in theirs.items()}
            given |= {f"fact.{fact}": v for fact, v in engine.facts.items() if isinstance(v, int)}
            try:
                value = goexpr.evaluate(row.formula, _Given(self.runtime, given)).value
            except (ExprError, Missing):
                continue
            mentioned = [
                self.runtime.consts[n] for n in goexpr.names(row.formula) if n in self.runtime.consts
            ]
            where = (
                f"{mentioned[0].file}:{mentioned[0].line}"
                if mentioned
                else theirs[name.replace("usable", "size")][1]
            )
            theirs[name] = (_number(value), where, "")  # type: ignore[arg-type]

    def _layout_formula(self, name: str, formula: str, where: str) -> None:
        row = self.figures.engine.row(f"layout.{name}")
        if row is None or not formula or name in self.figures.sets:
            return
        ours, theirs = _reservation_words(row.formula), _reservation_words(formula)
        # What only hands another figure on is no formula of its own.
        if len(ours) > 1 and ours != theirs:
            self.found.changes.append(Change(self.found.platform, name, row.formula, formula, where))

    def _stack_orders(self) -> None:
        engine = self.figures.engine
        sizes = [_number(v.value) for v in engine.family_values("layout.stack_order")]  # type: ignore[arg-type]
        cached = [v.value is True for v in engine.family_values("layout.stack_order_cached")]
        func = self.runtime.funcs.get("stackalloc")
        condition = next(_conditions(func, "stackCache"), None) if func is not None else None
        try:
            orders = _number(self.runtime.value("_NumStackOrders").value)  # type: ignore[arg-type]
            fixed = _number(self.runtime.value("_FixedStack").value)  # type: ignore[arg-type]
        except (ExprError, Missing) as error:
            self.found.skip("stack_order", str(error))
            return
        const = self.runtime.consts["_FixedStack"]
        at = f"{const.file}:{const.line}"
        for i in range(min(max(len(sizes), orders), 64)):
            size = fixed << i
            self.found.value(
                f"stack_order{i}", sizes[i] if i < len(sizes) else None, size if i < orders else None, at
            )
            if condition is None or func is None or i >= len(cached) or i >= orders:
                continue
            try:
                held = (
                    goexpr.evaluate(gofile.text(condition), _Given(self.runtime, {"n": size})).value is True
                )
            except (ExprError, Missing) as error:
                self.found.skip(f"stack_order_cached{i}", str(error))
                continue
            where = f"{func.file}:{gofile.line(condition)}"
            self.found.value(f"stack_order_cached{i}", cached[i], held, where, gofile.text(condition))


class _Given(Scope):
    """Variables with values, before the names of a package."""

    def __init__(self, package: PackageScope, given: Mapping[str, int]) -> None:
        super().__init__(package.ptr_size, signed_shift_counts=True)
        self.package = package
        self.given = given

    def lookup(self, name: str) -> Value | None:
        if name in self.given:
            value = goexpr.untyped(self.given[name])
            uintptr = goexpr.basic_types(self.ptr_size)["uintptr"]
            return value if name.startswith("fact.") else value._replace(type=uintptr, variable=True)
        return self.package.lookup(name)

    def type(self, name: str) -> goexpr.Type | None:
        return self.package.type(name)

    def function(self, name: str) -> goexpr.Function | None:
        return self.package.function(name)


def _conditions(func: gofile.Func, word: str) -> Iterator[Node]:
    """The conditions in a function that mention a name."""
    waiting = [func.node]
    while waiting:
        node = waiting.pop()
        if node.type == "if_statement":
            condition = node.child_by_field_name("condition")
            if condition is not None and word in gofile.text(condition):
                yield condition
        waiting += reversed(node.named_children)


class _Attempts:
    """The attempts of mallocinit as the figures of the layout.

    The calls of sysReserve are told apart by their line: on 64-bit ports the first is the
    reservation of everything, and the last, anywhere, is the ladder.
    """

    def __init__(self, attempts: list[Attempt], ptr_size: int) -> None:
        calls = list(dict.fromkeys(attempt.call for attempt in attempts))
        first = calls[0] if calls and ptr_size == 8 else None
        self.contiguous = [one for one in attempts if one.call == first]
        self.ladder = [one for one in attempts if calls and one.call == calls[-1] and one.call != first]

    @property
    def hints(self) -> list[tuple[int, int, str]]:
        """Addresses in the order of asking, with line and formula."""
        asked = self.contiguous or self.ladder[:1]
        return [(one.address, one.lines["address"], one.formulas["address"]) for one in asked]

    def values(self) -> Iterator[tuple[str, tuple[int, str, str]]]:
        """The figures by name: value, line, formula."""
        start = self.contiguous or self.ladder
        if start:
            yield from self._sizes("", start[0])
        if self.ladder:
            yield from self._sizes("ladder_", self.ladder[0])
            yield "ladder_hint", self._one(self.ladder[0], "address")
        for at, rung in enumerate(self.ladder):
            yield f"ladder_arena{at}", self._one(rung, "arenaSize")
            yield f"ladder{at}", self._one(rung, "size")

    def _sizes(self, prefix: str, attempt: Attempt) -> Iterator[tuple[str, tuple[int, str, str]]]:
        for name, variable in (("bitmap_size", "bitmapSize"), ("spans_size", "spansSize")):
            if variable in attempt.variables:
                yield prefix + name, self._one(attempt, variable)
        if not prefix:
            yield "reservation_size", self._one(attempt, "size")
            if "arenaSize" in attempt.variables:
                yield "arena_size", self._one(attempt, "arenaSize")

    def _one(self, attempt: Attempt, name: str) -> tuple[int, str, str]:
        value = {"address": attempt.address, "size": attempt.size}.get(name, attempt.variables.get(name, 0))
        return value, str(attempt.lines.get(name, attempt.call)), attempt.formulas.get(name, "")


class _Causes:
    """Which differences of a port follow from which."""

    def __init__(self, port: Port, differences: list[Difference]) -> None:
        self.differing = {difference.name for difference in differences}
        self.engine = port.figures.engine
        self.port = port

    def told(self, difference: Difference) -> Difference:
        """A difference with the others that its own formula mentions."""
        own = difference.name.partition(" ")[0]
        found = [name for name in self._mentioned(own) if name in self.differing and name != own]
        return difference._replace(follows_from=tuple(dict.fromkeys(found)))

    def _mentioned(self, name: str) -> Iterator[str]:
        runtime = self.port.runtime
        struct = name.partition(".")[0]
        if struct in runtime.declarations:
            for needed in structs.needs(runtime.declarations[struct], runtime.declarations):
                yield from needed
            return
        if name.startswith("sys."):
            yield from (f"sys.{one}" for one in self._names(self.port.port.package(SYS[0]), name[4:]))
            return
        if name in runtime.consts:
            yield from self._names(runtime, name)
            return
        for known in self.engine.follows_from(f"layout.{name}"):
            yield known.removeprefix("layout.").removeprefix("runtime.")

    def _names(self, scope: PackageScope, name: str) -> tuple[str, ...]:
        const = scope.consts.get(name)
        try:
            return goexpr.names(const.formula) + goexpr.composites(const.formula) if const is not None else ()
        except ExprError:
            return ()


def _own(name: str) -> str:
    """A qualified name without its package."""
    return name.partition(".")[2]


def _plain(value: Value) -> Scalar:
    plain = value.value
    return plain if isinstance(plain, bool | str) else int(plain)


def _flat(values: Sequence[int | tuple[int, ...]]) -> list[int]:
    return [value if isinstance(value, int) else -1 for value in values]


@cache
def forms(generation: Generation) -> Mapping[tuple[str, str], str]:
    """By file and name, how the source writes what is a fact here; a plain number where nothing is said."""
    text = (generation.folder / "forms.txt").read_text("utf-8")
    rows = re.findall(r"^([^#\n][^:\n]*): (\w+) = (.+)$", text, re.MULTILINE)
    return {(file, name): formula for file, name, formula in rows}


def _written_in_go(formula: str) -> bool:
    """Whether a formula of the calculator's table is the source's, and not in terms of a profile's facts."""
    return not any(word in formula for word in ("fact.", "flag(", "named(", "len(class_to_size)"))


def _words_of(text: str) -> list[str]:
    # The text of a field's own struct has its lines joined, the numbers noted behind them too.
    return [token.text for token in goexpr.tokens(re.sub(r"// \d+ ", "", text))]


_SAME = {"arenaSize": "arena_size", "bitmapSize": "bitmap_size", "spansSize": "spans_size"}
_RUNG = re.compile(r"\bladder_(arena|bitmap_size|spans_size)\d*")


def _reservation_words(formula: str) -> list[str]:
    """A formula of the layout in the same words whichever side it is from.

    The calculator's table has figures where mallocinit has variables, and conversions where
    an assignment to a uintptr converts; parentheses come and go with both.
    """
    text = formula.replace("fact.data_end", "end").replace("firstmoduledata.end", "end")
    text = _RUNG.sub(lambda match: match[1].removesuffix("_size") + "_size", text)
    return [_SAME.get(word, word) for word in _words_of(text) if word not in ("(", ")", "uintptr")]
