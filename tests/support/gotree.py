"""Go source trees for tests, written from the calculator's own tables.

Every constant and every type stands in its file and its line, with the build constraints that the
file needs, so that a whole tree has all that the calculator has and nothing else. The bodies of
functions are our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from archcalc import generations
from archcalc.calculator import figures
from archcalc.calculator.figures import Figures
from archcalc.goexpr import quote
from archcalc.goverify import constants
from archcalc.profiles import platforms

MALLOC = """
func mallocinit() {
	if class_to_size[_TinySizeClass] != _TinySize {
		throw("no")
	}
	var p, bitmapSize, spansSize, pSize, limit uintptr
	var reserved bool
	limit = 0
	if sys.PtrSize == 8 && (limit == 0 || limit > 1<<30) {
		arenaSize := round(_MaxMem, _PageSize)
		bitmapSize = arenaSize / (sys.PtrSize * 8 / 2)
		spansSize = arenaSize / _PageSize * sys.PtrSize
		spansSize = round(spansSize, _PageSize)
		for i := 0; i <= 0x7f; i++ {
			switch {
			case GOARCH == "arm64" && GOOS == "darwin":
				p = uintptr(i)<<40 | uintptrMask&(0x0013<<28)
			case GOARCH == "arm64":
				p = uintptr(i)<<40 | uintptrMask&(0x0040<<32)
			default:
				p = uintptr(i)<<40 | uintptrMask&(0x00c0<<32)
			}
			pSize = bitmapSize + spansSize + arenaSize + _PageSize
			p = uintptr(sysReserve(unsafe.Pointer(p), pSize, &reserved))
			if p != 0 {
				break
			}
		}
	}
	if p == 0 {
		arenaSizes := []uintptr{
			512 << 20,
			256 << 20,
			128 << 20,
			0,
		}
		for _, arenaSize := range arenaSizes {
			bitmapSize = (_MaxArena32 + 1) / (sys.PtrSize * 8 / 2)
			spansSize = (_MaxArena32 + 1) / _PageSize * sys.PtrSize
			if limit > 0 && arenaSize+bitmapSize+spansSize > limit {
				bitmapSize = 0
			}
			spansSize = round(spansSize, _PageSize)
			p = round(firstmoduledata.end+(1<<18), 1<<20)
			pSize = bitmapSize + spansSize + arenaSize + _PageSize
			p = uintptr(sysReserve(unsafe.Pointer(p), pSize, &reserved))
			if p != 0 {
				break
			}
		}
	}
}
"""
STACK = """
func stackalloc(n uint32) {
	if stackCache != 0 && n < _FixedStack<<_NumStackOrders && n < _StackCacheSize {
		return
	}
}
"""
STUBS = """
func round(n, a uintptr) uintptr {
	return (n + a - 1) &^ (a - 1)
}
"""
DIST = """package main

func stackGuardMultiplier() int {
	for _, flag := range flags {
		if flag == "-N" {
			return 2
		}
	}
	return 1
}
"""
IMPORTS = 'import ("runtime/internal/sys"; "unsafe")'


def write(root: Path) -> Path:
    """A whole tree below a folder; returns the folder."""
    ports = [figures.compute(platforms.load(name)) for name in platforms.names()]
    files: dict[str, dict[int, str]] = {}
    owners: dict[str, set[str]] = {}
    for port in ports:
        for file, line, text in (*_constants(port), *_facts(port)):
            lines = files.setdefault(file, {})
            assert lines.setdefault(line, text) == text, (file, line, lines[line], text)
            owners.setdefault(file, set()).add(port.platform)
    for file, line, text in _types():
        lines = files.setdefault(file, {})
        lines[line] = f"{lines[line]}; {text}" if line in lines else text
        owners.setdefault(file, {port.platform for port in ports})
    for port in ports:
        arch = f"runtime/internal/sys/arch_{port.profile.goarch}.go"
        files[arch][40] = f"type Uintreg uint{8 * port.engine.words[1]}"
    extra = {"runtime/malloc.go": MALLOC, "runtime/stack.go": STACK, "runtime/stubs.go": STUBS}
    for file in {*files, *extra}:
        constraint = _constraint(file, owners.get(file, set()), len(ports))
        path = root / "src" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_text(file, files.get(file, {}), constraint) + extra.get(file, ""))
    (root / "src/runtime/sizeclasses.go").write_text(
        (root / "src/runtime/sizeclasses.go").read_text() + _tables(ports[0])
    )
    dist = root / "src/cmd/dist/buildruntime.go"
    dist.parent.mkdir(parents=True)
    dist.write_text(DIST)
    arch_file = root / "src/cmd/internal/sys/arch.go"
    arch_file.parent.mkdir(parents=True)
    arch_file.write_text(_arches(ports))
    return root


def edit(root: Path, file: str, old: str, new: str) -> int:
    """Replaces a text that occurs once in a file below src; returns its line."""
    path = root / "src" / file
    text = path.read_text()
    assert text.count(old) == 1, (file, old, text.count(old))
    path.write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1


def _constants(port: Figures) -> Iterable[tuple[str, int, str]]:
    """Every constant at its place on a port; what is a fact there is a literal."""
    engine = port.engine
    for package in ("runtime", "sys"):
        for name, value in engine.package(package, reported=False).items():
            row, place = engine.row(name), engine.source(name)
            assert row is not None and place is not None
            if "buildruntime" in place.file:
                continue
            formula = row.formula
            if any(word in formula for word in ("fact.", "flag(", "named(", "len(")):
                formula = quote(value.value) if isinstance(value.value, str) else str(value)
                if row.name == "ArchFamily":
                    formula = str(port.profile.facts["arch_family"])
                formula = constants.forms(port.generation).get((place.file, row.name), formula)
            kind = f" {row.type_name}" if row.type_name else ""
            if row.iota:
                # The formula and the type are those of the group's first name, repeated.
                others = "; ".join([f"_{kind} = {formula}", *["_"] * (row.iota - 1)])
                yield place.file, place.line, f"const ({others}; {row.name})"
            else:
                yield place.file, place.line, f"const {row.name}{kind} = {formula}"


def _facts(port: Figures) -> Iterable[tuple[str, int, str]]:
    """What profiles tell of the systems' constants beside those."""
    for at, (name, value) in enumerate(sorted(port.profile.constants.items())):
        if f"runtime.{name}" not in port.generation.rows:
            file = f"runtime/errors_{port.profile.goos}_{port.profile.goarch}.go"
            yield file, 10 + at, f"const {name} = {value:#x}"


def _types() -> Iterable[tuple[str, int, str]]:
    """Every type, line by line, where its tables note that it stands."""
    for file, _, text in generations.load().type_texts():
        last = 0
        for line in text.splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            code, _, number = line.partition("//")
            last = int(number) if number.strip().isdecimal() else last + 1
            yield file, last, code.rstrip()


def _constraint(file: str, owners: set[str], ports: int) -> str:
    """The +build line that a file needs beside its name."""
    if not owners or len(owners) == ports or re.search(r"z?arch_|zgoos_(?!linux)", file):
        return ""
    options = []
    for owner in sorted(owners):
        system, arch = owner.split("/")
        options.append(f"{system},{arch}" + (",!android" if system == "linux" else ""))
    return "// +build " + " ".join(options) + "\n\n"


def _text(file: str, lines: dict[int, str], constraint: str) -> str:
    package = Path(file).parent.name
    head = f"{constraint}package {package}; {IMPORTS if package == 'runtime' else ''}"
    first = head.count("\n") + 1
    body = "\n".join(lines.get(number, "") for number in range(first + 1, max(lines, default=0) + 1))
    return f"{head}\n{body}\n"


def _tables(port: Figures) -> str:
    classes = port.size_classes
    magic = ", ".join(f"{{{', '.join(map(str, one))}}}" for one in classes.class_to_divmagic)
    text = f"\nvar class_to_divmagic = [_NumSizeClasses]divMagic{{{magic}}}\n"
    for name, kind, length in (
        ("class_to_size", "uint16", "_NumSizeClasses"),
        ("class_to_allocnpages", "uint8", "_NumSizeClasses"),
        ("size_to_class8", "uint8", "smallSizeMax/smallSizeDiv + 1"),
        ("size_to_class128", "uint8", "(_MaxSmallSize-smallSizeMax)/largeSizeDiv + 1"),
    ):
        values = ", ".join(map(str, getattr(classes, name)))
        text += f"var {name} = [{length}]{kind}{{{values}}}\n"
    return text


def _arches(ports: Iterable[Figures]) -> str:
    text = "package sys\n\n"
    for arch, port in sorted({port.profile.goarch: port for port in ports}.items()):
        ptr_size, reg_size = port.engine.words
        min_lc = port.sys["PCQuantum"]
        text += (
            f'var Arch{arch.upper()} = &Arch{{\n\tName: "{arch}",\n\tPtrSize: {ptr_size},\n'
            f"\tRegSize: {reg_size},\n\tMinLC: {min_lc},\n}}\n"
        )
    return text
