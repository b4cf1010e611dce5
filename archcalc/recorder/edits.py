"""Where the recorder's calls go in Go's runtime: by the names of functions, and a few short anchors.

A `Wrap` puts a function of ours in front of one of the runtime's: the runtime's own keeps its body under
another name, and ours calls it, with something before or after. An `Anchor` puts a call next to a short text
inside a function, or in its place; that text must be there exactly once. A function that is not there, or an
anchor that does not match once, is reported with the release's name: that function has changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from archcalc.reading.errors import UsageFault

# What an open bracket says it is for. A bracket's number is in the raw log.
BRACKETS = {
    1: "init",
    2: "pinit",
    3: "pdestroy",
    4: "refill",
    5: "large",
    6: "stackrefill",
    7: "stackrelease",
    8: "stackalloc",
    9: "stackfree",
    10: "release",
    11: "stackclear",
    12: "sweepone",
    13: "scavenge",
    14: "allocmanual",
    15: "freemanual",
    16: "freestackspans",
    17: "reclaim",
    18: "sweep",
    19: "hugepages",
    20: "readmemstats",
    21: "userarena",
    22: "userfault",
}
NUMBER = {name: number for number, name in BRACKETS.items()}


@dataclass(frozen=True, slots=True)
class Wrap:
    """Go code before and after a function. `r0`, `r1` are its results there, parameters have their names."""

    file: str
    function: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Go code at a text inside a function. Its text is `before` it, `after` it or `instead` of it."""

    file: str
    function: str
    text: str
    where: str
    code: str


def _bracket(
    name: str, opening: str = "0, 0, 0", closing: str = "0, 0, 0", stays: bool = False
) -> tuple[str, str]:
    """What opens and closes a bracket. Where the goroutine could move to another thread inside, it `stays`."""
    number = NUMBER[name]
    opens, closes = f"archcalcOpen({number}, {opening})", f"archcalcClose({number}, {closing})"
    return (
        (f"archcalcM := acquirem(); {opens}", f"{closes}; releasem(archcalcM)") if stays else (opens, closes)
    )


def _at(pointer: str) -> str:
    return f"uintptr(unsafe.Pointer({pointer}))"


def _own(file: str, function: str) -> Wrap:
    """A function in which memory is asked for by the allocator itself."""
    return Wrap(file, function, "archcalcOwn(1)", "archcalcOwn(-1)")


def wraps() -> list[Wrap]:
    """All wraps, for every release."""
    manual = "if typ == spanAllocWorkBuf { %s }"
    not_stack = "if typ != spanAllocStack { %s }"
    opened, closed = _bracket("allocmanual", "npages, archcalcKind(typ), 0", "archcalcSpanBase(r0), 0, 0")
    freeing, freed = _bracket("freemanual", "s.base(), archcalcKind(typ), 0")
    uncached = (
        "archcalcWay := uintptr(0); "
        "if %s >= fixedStack<<_NumStackOrders || %s >= _StackCacheSize { archcalcWay = 2 } else "
        'if stackNoCache != 0 || getg().m.p == 0 || getg().m.preemptoff != "" { archcalcWay = 1 }; '
        "if archcalcWay != 0 { archcalcOpen(%d, %s) }"
    )
    return [
        Wrap("malloc.go", "mallocinit", "archcalcStart(); " + _bracket("init")[0],
             f"archcalcFixes(); archcalcMeta(11, {_at('mcache0')}); " + _bracket("init")[1]),
        Wrap("proc.go", "(*p).init", _bracket("pinit", "uintptr(id), 0, 0")[0],
             _bracket("pinit", "0, 0, 0", f"uintptr(id), {_at('pp.mcache')}, 0")[1]),
        Wrap("proc.go", "(*p).destroy", _bracket("pdestroy", f"uintptr(pp.id), {_at('pp.mcache')}, 0")[0], _bracket("pdestroy")[1]),
        Wrap("mcache.go", "(*mcache).refill", *_bracket("refill", f"uintptr(spc), {_at('c')}, 0",
             "c.alloc[spc].base(), uintptr(c.alloc[spc].allocCount), uintptr(c.alloc[spc].freeindex)")),
        Wrap("mcache.go", "(*mcache).allocLarge", *_bracket("large", f"size, uintptr(bool2int(noscan)), {_at('c')}",
             "r0.base(), r0.npages, uintptr(r0.needzero)")),
        Wrap("mcache.go", "(*mcache).releaseAll", *_bracket("release", f"{_at('c')}, 0, 0", stays=True)),
        Wrap("stack.go", "stackcache_clear", *_bracket("stackclear", f"{_at('c')}, 0, 0", stays=True)),
        Wrap("stack.go", "stackcacherefill", *_bracket("stackrefill", f"{_at('c')}, uintptr(order), 0")),
        Wrap("stack.go", "stackcacherelease", *_bracket("stackrelease", f"{_at('c')}, uintptr(order), 0")),
        Wrap("stack.go", "stackpoolalloc", after="archcalcRecord('<', 2, uintptr(order), uintptr(r0), 0, 0, 0, 0)"),
        Wrap("stack.go", "stackpoolfree", "archcalcRecord('>', 2, uintptr(order), uintptr(x), 0, 0, 0, 0)"),
        Wrap("stack.go", "stackalloc", uncached % ("n", "n", NUMBER["stackalloc"], "uintptr(n), archcalcWay, 0"),
             f"if archcalcWay != 0 {{ archcalcClose({NUMBER['stackalloc']}, r0.lo, 0, 0) }}; "
             "archcalcRecord('s', 3, archcalcWay, uintptr(n), r0.lo, 0, 0, 0)"),
        Wrap("stack.go", "stackfree", "archcalcN := stk.hi - stk.lo; "
             + uncached % ("archcalcN", "archcalcN", NUMBER["stackfree"], "archcalcN, archcalcWay, stk.lo"),
             f"if archcalcWay != 0 {{ archcalcClose({NUMBER['stackfree']}, 0, 0, 0) }}; "
             "archcalcRecord('S', 3, archcalcWay, archcalcN, stk.lo, 0, 0, 0)"),
        Wrap("mgcsweep.go", "sweepone", *_bracket("sweepone", "0, 0, 0", "r0, 0, 0", stays=True)),
        Wrap("mgcsweep.go", "(*sweepLocked).sweep", "archcalcBase := sl.mspan.base(); "
             + _bracket("sweep", "archcalcBase, uintptr(bool2int(preserve)), 0")[0],
             _bracket("sweep", closing="archcalcBase, uintptr(bool2int(r0)), 0")[1]),
        Wrap("mheap.go", "(*mheap).reclaim", *_bracket("reclaim", "npage, 0, 0")),
        Wrap("mheap.go", "(*mheap).allocManual", not_stack % opened, not_stack % closed),
        Wrap("mheap.go", "(*mheap).freeManual", manual % freeing, manual % freed),
        Wrap("mheap.go", "(*mheap).freeSpanLocked", "archcalcBase, archcalcPages := s.base(), s.npages",
             "archcalcRecord('D', 3, archcalcBase, archcalcPages, archcalcKind(typ), 0, 0, 0)"),
        Wrap("mheap.go", "nextMarkBitArenaEpoch", after="archcalcRecord('e', 0, 0, 0, 0, 0, 0, 0)"),
        Wrap("mheap.go", "newArenaMayUnlock", "archcalcOwn(1)",
             f"archcalcOwn(-1); archcalcRecord('*', 1, {_at('r0')}, 0, 0, 0, 0, 0)"),
        Wrap("mheap.go", "(*mheap).initSpan",
             after="archcalcRecord('Q', 2, uintptr(s.needzero), base, 0, 0, 0, 0)"),
        Wrap("mheap.go", "recordspan", "archcalcOwn(1)", "archcalcOwn(-1)"),
        Wrap("stack.go", "freeStackSpans", *_bracket("freestackspans")),
        Wrap("mgcscavenge.go", "(*pageAlloc).scavenge", *_bracket("scavenge", "nbytes, uintptr(bool2int(force)), 0", "r0, 0, 0", stays=True)),
        Wrap("mgcscavenge.go", "(*scavengeIndex).find",
             after="archcalcFound := uintptr(0); if r0 != 0 { archcalcFound = chunkBase(r0) }; "
                   "archcalcRecord('?', 2, archcalcFound, uintptr(r1), 0, 0, 0, 0)"),
        Wrap("mgcscavenge.go", "(*scavengeIndex).nextGen", after="archcalcRecord('n', 0, 0, 0, 0, 0, 0, 0)"),
        Wrap("mgcscavenge.go", "gcPaceScavenger",
             after="archcalcWide('l', 4, 0, scavenge.gcPercentGoal.Load(), scavenge.memoryLimitGoal.Load(), uint64(memoryLimit))"),
        Wrap("mgcsweep.go", "gcPaceSweeper",
             after="archcalcWide('r', 4, 0, float64bits(mheap_.sweepPagesPerByte), mheap_.sweepHeapLiveBasis, mheap_.pagesSweptBasis.Load())"),
        Wrap("mgcpacer.go", "gcControllerCommit",
             after="archcalcWide('w', 4, 0, gcController.heapLive.Load(), gcController.heapGoal(), gcController.heapMarked)"),
        Wrap("mgc.go", "gcinit", after="archcalcDebug(); archcalcRecord('I', 0, 0, 0, 0, 0, 0, 0)"),
        Wrap("mgc.go", "setGCPhase", after="archcalcRecord('P', 1, uintptr(x), 0, 0, 0, 0, 0)"),
        Wrap("mpagecache.go", "(*pageAlloc).allocToCache", after="archcalcWide('C', 3, r0.base, r0.cache, r0.scav, 0)"),
        Wrap("mpagecache.go", "(*pageCache).flush",
             "if !c.empty() { archcalcWide('E', 3, c.base, c.cache, c.scav, 0) }"),
        _own("mspanset.go", "(*spanSet).push"),
        Wrap("mspanset.go", "(*spanSet).pop",
             after="if r0 == nil { archcalcRecord('-', 1, archcalcSet(b), 0, 0, 0, 0, 0) }"),
        _own("mspanset.go", "(*spanSetBlockAlloc).alloc"),
        _own("mranges.go", "(*addrRanges).init"),
        _own("mranges.go", "(*addrRanges).add"),
        _own("mranges.go", "(*addrRanges).cloneInto"),
        _own("mpagealloc.go", "(*pageAlloc).grow"),
        _own("mpagealloc.go", "(*pageAlloc).init"),
        _own("malloc.go", "(*mheap).sysAlloc"),
        Wrap("malloc.go", "(*mheap).enableMetadataHugePages", *_bracket("hugepages")),
        Wrap("arena.go", "(*mheap).allocUserArenaChunk", *_bracket("userarena", closing="archcalcSpanBase(r0), 0, 0")),
        Wrap("arena.go", "(*mspan).setUserArenaChunkToFault", *_bracket("userfault", "s.base(), 0, 0")),
        Wrap("mfixalloc.go", "(*fixalloc).alloc", "archcalcOwn(1)",
             f"archcalcOwn(-1); archcalcRecord('f', 5, archcalcFix(f), uintptr(r0), {_at('f')}, f.size, archcalcStat(f.stat), 0)"),
        Wrap("mfixalloc.go", "(*fixalloc).free", after=f"archcalcRecord('x', 3, archcalcFix(f), uintptr(p), {_at('f')}, 0, 0, 0)"),
        Wrap("malloc.go", "persistentalloc1", "archcalcOurs := uintptr(bool2int(archcalcIsOwn())); archcalcOwn(1)",
             f"archcalcOwn(-1); archcalcRecord('p', 5, archcalcOurs, size, align, archcalcStat(sysStat), {_at('r0')}, 0)"),
        Wrap("mem.go", "sysAlloc",
             after="if !archcalcIsOwn() { archcalcRecord('Y', 3, n, archcalcStat(sysStat), uintptr(r0), 0, 0, 0) }"),
        Wrap("mem.go", "sysFree",
             after="if !archcalcIsOwn() { archcalcRecord('y', 3, uintptr(v), n, archcalcStat(sysStat), 0, 0, 0) }"),
        Wrap("mstats.go", "readmemstats_m", _bracket("readmemstats")[0],
             _bracket("readmemstats")[1] + "; archcalcMemStats(stats)"),
        Wrap("print.go", "gwrite", "archcalcPrints(b)"),
        Wrap("proc.go", "os_beforeExit", after="archcalcEnd(exitCode)"),
        Wrap("runtime.go", "syscall_Exit", "archcalcEnd(code)"),
        Wrap("proc.go", "syscall_runtime_BeforeExec", after="archcalcBecomes()"),
        Wrap("signal_unix.go", "dieFromSignal", "archcalcDie(uintptr(sig))"),
        Wrap("signal_unix.go", "crash", "archcalcDie(0)"),
    ]  # fmt: skip


def anchors(source: dict[str, str]) -> list[Anchor]:
    """All anchors. `source` has the runtime's files by name: which way mallocgc is cut depends on it."""
    found = [
        Anchor("mheap.go", "(*mheap).allocSpan", "\tunlock(&h.lock)\n\nHaveSpan:", "before",
               "\tarchcalcSpan(s, base, npages, archcalcKind(typ), uintptr(spanclass), scav, 0)\n"),
        Anchor("mheap.go", "(*mheap).reclaim", "- pagesPerReclaimerChunk)", "after",
               "\n\t\tarchcalcRecord('R', 1, idx, 0, 0, 0, 0, 0)"),
        Anchor("stack.go", "stackalloc", "stackLarge.free[log2npage].remove(s)", "after",
               "\n\t\t\tarchcalcRecord('<', 2, 255, s.base(), 0, 0, 0, 0)"),
        Anchor("stack.go", "stackfree", "stackLarge.free[log2npage].insert(s)", "after",
               "\n\t\t\tarchcalcRecord('>', 2, 255, s.base(), 0, 0, 0, 0)"),
        Anchor("mheap.go", "(*mheap).allocSpan", "\t\t\t\tgoto HaveSpan", "before",
               "\t\t\t\tarchcalcSpan(s, base, npages, archcalcKind(typ), uintptr(spanclass), scav, 1)\n"),
        Anchor("mspanset.go", "(*spanSet).push", "\tblock.spans[bottom].StoreNoWB(s)", "before",
               "\tarchcalcRecord('+', 4, archcalcSet(b), s.base(), cursor, uintptr(unsafe.Pointer(s)), 0, 0)\n"),
        Anchor("mspanset.go", "(*spanSet).pop", "\tblock.spans[bottom].StoreNoWB(nil)", "before",
               "\tarchcalcRecord('-', 4, archcalcSet(b), s.base(), uintptr(head), uintptr(unsafe.Pointer(s)), 0, 0)\n"),
        Anchor("mheap.go", "newMarkBits", "\t\tfresh.next = gcBitsArenas.free", "before",
               "\t\tarchcalcRecord('/', 1, uintptr(unsafe.Pointer(fresh)), 0, 0, 0, 0, 0)\n"),
        Anchor("mgcsweep.go", "(*sweepLocked).sweep", "\ts.allocBits = s.gcmarkBits", "before",
               "\tarchcalcMarks(s, uintptr(nalloc), uintptr(nfreed))\n"),
        Anchor("mgcscavenge.go", "(*pageAlloc).scavengeOne", "p.chunkOf(ci).scavenged.setRange(base, npages)", "after",
               "\n\t\t\tarchcalcRecord('v', 2, addr, uintptr(npages), 0, 0, 0, 0)"),
        Anchor("mgcscavenge.go", "(*pageAlloc).scavengeOne", "p.chunkOf(ci).allocRange(base, npages)", "after",
               "\n\t\t\tarchcalcRecord('V', 2, addr, uintptr(npages), 0, 0, 0, 0)"),
        Anchor("mgcscavenge.go", "(*pageAlloc).scavengeOne", "p.scav.index.setEmpty(ci)", "after",
               "\n\tarchcalcRecord('u', 1, chunkBase(ci), 0, 0, 0, 0, 0)"),
        Anchor("mgc.go", "gcSweep", "\tsweep.active.reset()", "after", "\n\tarchcalcPageMarks()"),
        Anchor("mgc.go", "gcSweep", "\tmheap_.sweepgen += 2", "after",
               "\n\tarchcalcWide('g', 4, uintptr(mheap_.sweepgen), gcController.heapLive.Load(), "
               "uint64(mheap_.pagesInUse.Load()), gcController.heapMarked)"),
        Anchor("malloc.go", "mallocinit", "sbrk0()", "instead", "archcalcSbrk0()"),
        Anchor("panic.go", "throw", 'print("fatal error: "', "before", "archcalcThrow(1, s)\n\t\t"),
        Anchor("panic.go", "fatal", 'print("fatal error: "', "before", "archcalcThrow(2, s)\n\t\t"),
        Anchor("panic.go", "fatalthrow", "\n\t\texit(2)", "before", "\n\t\tarchcalcDie(0)"),
        Anchor("panic.go", "fatalpanic", "\n\t\texit(2)", "before", "\n\t\tarchcalcDie(1)"),
        Anchor("signal_unix.go", "sighandler", "\n\texit(2)", "before", "\n\tarchcalcDie(uintptr(sig))"),
        Anchor("proc.go", "main", "\n\texit(0)", "before", "\n\tarchcalcEnd(0)"),
    ]  # fmt: skip
    if "bootstrapRand()" in source["malloc.go"]:
        found.append(
            Anchor("malloc.go", "mallocinit", "uintptr(bootstrapRand())", "instead", "uintptr(archcalcLot())")
        )
    if "func setVMAName(" in source.get("set_vma_name_linux.go", ""):
        found.append(
            Anchor(
                "set_vma_name_linux.go",
                "setVMAName",
                "\n\tif err == _EINVAL {",
                "before",
                "\n\tarchcalcNamed(start, length, name, uintptr(err))",
            )
        )
    found += _malloc(source["malloc.go"])
    found += _calls(source["mem_linux.go"])
    return found


def _malloc(malloc: str) -> list[Anchor]:
    one, two, four = ("\n" + "\t" * tabs + "mp.mallocing = 0" for tabs in (1, 2, 4))

    def record(how: str, size: str, needzero: str) -> str:
        return f"archcalcMalloc({how}, {size}, typ, {needzero}, x)"

    def anchor(function: str, text: str, code: str) -> Anchor:
        return Anchor("malloc.go", function, text + "\n", "before", "\n" + code)

    if "func mallocgcTiny(" not in malloc:  # up to 1.23 all of it is one function
        how = (
            "archcalcHow := uintptr(0); if noscan { archcalcHow = 1; if dataSize < maxTinySize { archcalcHow = 5 } }; "
            "if dataSize > maxSmallSize-mallocHeaderSize { archcalcHow |= 16 }; "
        )
        return [
            anchor("mallocgc", four, record("9", "dataSize", "needzero")),
            anchor("mallocgc", one, how + record("archcalcHow", "dataSize", "needzero")),
        ]
    ways = {
        "mallocgcTiny": ("5", "false"),
        "mallocgcSmallNoscan": ("1", "needzero"),
        "mallocgcSmallScanNoHeader": ("0", "true"),
        "mallocgcSmallScanHeader": ("0", "true"),
        "mallocgcLarge": ("16 | uintptr(bool2int(typ == nil || !typ.Pointers()))", "needzero"),
    }
    found = []
    for function, (how, needzero) in ways.items():
        found.append(
            Anchor("malloc.go", function, "\n\tmp.mallocing = 1", "after", "\n\tarchcalcSize := size")
        )
        found.append(anchor(function, one, record(how, "archcalcSize", needzero)))
    found.append(anchor("mallocgcTiny", two, record("9", "size", "false")))
    if "mallocgcSmallNoscanReuse" in malloc:
        found.append(anchor("mallocgcSmallNoscan", two, record("33", "archcalcSize", "needzero")))
    return found


def _calls(mem: str) -> list[Anchor]:
    """What mem_linux.go asks of the kernel, call by call."""
    found = []
    call = re.compile(r"(?<![\w.\"])(?:[mM]map|munmap|madvise|mprotect)\([^()]*(?:\([^()]*\))?[^()]*\)")
    for name, body in functions(mem):
        for text in sorted(set(call.findall(body))):
            found.append(
                Anchor("mem_linux.go", name, text, "instead", "archcalc" + text[0].upper() + text[1:])
            )
    return found


_FUNCTION = re.compile(
    r"^func (?:\((?P<receiver>\w+) (?P<type>\*?\w+)\) )?(?P<name>\w+)"
    r"\((?P<params>(?:[^()\n]|\([^()\n]*\))*)\)(?P<results> [^{\n]*)? \{$",
    re.M,
)


def functions(source: str) -> list[tuple[str, str]]:
    """The functions of a Go file, as `name` or `(*type).name`, and their texts."""
    found = []
    for match in _FUNCTION.finditer(source):
        end = source.find("\n}\n", match.start())
        found.append((_key(match), source[match.start() : end + 3]))
    return found


def _key(match: re.Match[str]) -> str:
    return match["name"] if match["type"] is None else f"({match['type']}).{match['name']}"


def apply(source: dict[str, str], release: str, edits: list[Wrap | Anchor] | None = None) -> dict[str, str]:
    """The files that change, with calls put in. UsageFault names the function that has changed."""
    changed: dict[str, str] = {}
    todo: list[Wrap | Anchor] = [*anchors(source), *wraps()] if edits is None else edits
    for edit in todo:
        text = changed.get(edit.file, source.get(edit.file, ""))
        matches = [match for match in _FUNCTION.finditer(text) if _key(match) == edit.function]
        if len(matches) != 1:
            raise _changed(release, edit, f"it is there {len(matches)} times")
        changed[edit.file] = _one(text, matches[0], edit, release)
    return changed


def _one(text: str, match: re.Match[str], edit: Wrap | Anchor, release: str) -> str:
    if isinstance(edit, Wrap):
        return text[: match.start()] + _wrapped(text, match, edit) + text[match.end() :]
    end = text.find("\n}\n", match.start()) + 3
    body = text[match.start() : end]
    if body.count(edit.text) != 1:
        raise _changed(
            release, edit, f"{edit.text.strip()!r} is there {body.count(edit.text)} times, expected once"
        )
    new = {"before": edit.code + edit.text, "after": edit.text + edit.code, "instead": edit.code}[edit.where]
    return text[: match.start()] + body.replace(edit.text, new) + text[end:]


def _wrapped(text: str, match: re.Match[str], edit: Wrap) -> str:
    """The wrapper, and the head of the wrapped function under its new name."""
    pragmas = ""
    for line in reversed(text[: match.start()].splitlines()):
        if not line.startswith("//"):
            break
        if line.startswith("//go:") and not line.startswith("//go:linkname"):
            pragmas = line + "\n" + pragmas
    name = match["name"]
    inner = f"archcalc_{name}"
    arguments = ", ".join(_names(match["params"]))
    called = f"{match['receiver']}.{inner}({arguments})" if match["receiver"] else f"{inner}({arguments})"
    count = _results(match["results"])
    results = ", ".join(f"r{i}" for i in range(count))
    lines = [match[0]]
    lines += [f"\t{edit.before}"] if edit.before else []
    lines += [
        f"\t{results} := {called}"
        if count and edit.after
        else f"\treturn {called}"
        if count
        else f"\t{called}"
    ]
    lines += [f"\t{edit.after}"] if edit.after else []
    lines += [f"\treturn {results}"] if count and edit.after else []
    receiver = f"({match['receiver']} {match['type']}) " if match["receiver"] else ""
    head = f"func {receiver}{inner}({match['params']}){match['results'] or ''} {{"
    return "\n".join(lines) + "\n}\n\n" + pragmas + head


def _names(params: str) -> list[str]:
    """The names of parameters."""
    depth, piece, pieces = 0, "", []
    for char in params + ",":
        depth += (char in "([{") - (char in ")]}")
        if char == "," and not depth:
            pieces.append(piece.strip())
            piece = ""
        else:
            piece += char
    return [piece.split()[0] for piece in pieces if piece]


def _results(results: str | None) -> int:
    text = (results or "").strip()
    if not text:
        return 0
    return text.count(",") + 1 if text.startswith("(") else 1


def _changed(release: str, edit: Wrap | Anchor, found: str) -> UsageFault:
    return UsageFault(
        f"{edit.function} of {release} (runtime/{edit.file}) is not as the recorder expects it: {found}; "
        "releases 1.22 to 1.27 can be recorded"
    )
