"""The courses that a start can take with recorded answers: what is random, or up to the scheduler.

A file of calls shows where the heap's base is. It does not tell how many pages were left out there,
whether an early object was sampled for the heap profile, or which P a goroutine came to run on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement, pairwise, product

from allocator.common.throw import Death
from allocator.kernels.answers import Answers, EndOfAnswers
from allocator.kernels.calls import NOHUGEPAGE, Call
from allocator.kernels.system import Errno
from allocator.sparse.arena_hints import seed_for
from allocator.sparse.config import Config
from allocator.sparse.mem_linux import MemLinux
from allocator.sparse.onward import Onward
from allocator.sparse.persistentalloc import MAX_BLOCK
from allocator.sparse.runtime import Runtime, debug_settings
from allocator.sparse.startup import BUSY, ENVIRONMENT, MASKS, PLACES
from allocator.sparse.startup import Surroundings as Surroundings
from archcalc import machines
from archcalc.calculator import figures as figures_of
from archcalc.machines.options import MachineOptions
from archcalc.machines.others_calls import Parts, part
from archcalc.profiles import platforms
from archcalc.reading.callsfile import ProgramCalls
from archcalc.reading.errors import Fault, UsageFault

LARGEST_PAGE = 64 << 10
PAGE = 4096
HUGE_PAGE = 2 << 20  # what a linux with 4 KB pages reports; an emulator passes on what its host reports
# GOMAXPROCS, and the Ps on which the main goroutine and the scavenger come to run: the usual first.
COURSES = ((2, 1, 0), (2, 0, 0), (2, 1, 1), (1, 0, 0), (3, 1, 2), (4, 1, 2), (3, 2, 1), (4, 2, 3))
USUAL_GOGC = 100

# Lengths of strings, each of another size class, from those that an environment hardly lacks on.
STRINGS = (14, 24, 32, 48, 64, 80, 96, 144, 192, 160, 208, 176, 240, 112, 128)


def config_of(program: ProgramCalls, release: str, options: MachineOptions | None) -> Config:
    """The Config of the machine that the program ran on, as far as its calls show it."""
    profile = platforms.of(program.platform, release)
    figures = figures_of.compute(profile, {}, release)
    options = options or MachineOptions()
    options = replace(
        options,
        data_end=options.data_end if program.data_end is None else program.data_end,
        page_size=options.page_size or page_size(program),
    )
    config = machines.config_of(figures, options)
    if not isinstance(config, Config):
        raise UsageFault(Fault(f"the machine of Go {release} makes no such calls", "a release from 1.19 on"))
    return replace(config, phys_huge_page_size=HUGE_PAGE)


def page_size(program: ProgramCalls) -> int:
    """The page of the program's system: the largest that all its fixed mappings consist of, 4 KB at least."""
    size = LARGEST_PAGE
    for call in program.unnamed:
        if call.name == "map" and call.fixed and not isinstance(call.answer, Errno):
            while size > PAGE and (call.answer % size or call.size % size):
                size //= 2
    return size


def heap_base(config: Config, program: ProgramCalls) -> tuple[int, int] | None:
    """The first hint, and where in an arena the first mapping lies, where that is random.

    The hint is what was asked for, whether it was granted or not; the arena may be another one.
    """
    if not config.randomized_heap_base:
        return None
    arena = config.heap_arena_bytes
    # The tables of the page allocator come first, and one of them may be as large as an arena.
    behind = config.summary_levels + 2
    for i, call in enumerate(program.unnamed):
        reserved = call.name == "map" and not call.fixed and call.access == "-"
        if i < behind or not reserved or call.size != arena:
            continue
        # Linux on s390x takes a pointer to what it is asked for, so that only the answer tells there.
        hint = next(
            (p for p in (call.address, call.answer) if isinstance(p, int) and p and not p % arena), None
        )
        if hint is None:
            continue
        for later in program.unnamed[i:]:
            if later.name == "map" and later.fixed and isinstance(later.answer, int):
                return hint, hint + min(later.answer % arena, arena - config.palloc_chunk_bytes)
        return hint, hint
    return None


def of_runtime(config: Config, program: ProgramCalls) -> tuple[ProgramCalls, Parts]:
    """The program with the calls of its runtime alone, and whose the others are."""
    first = start(config, replace(program, calls=()), None, 0, Surroundings()).answers.beyond
    parts = part(program.calls, first, config.is_64bit)
    return replace(program, calls=tuple(program.calls[place] for place in parts.runtime)), parts


def settings(config: Config, program: ProgramCalls, told: Mapping[str, int]) -> Iterator[Mapping[str, int]]:
    """What GODEBUG may have said: what is told; else what the program's environment and the calls show, and
    then also that nothing is ever freed, which changes little that they show. Programs of old modules have no
    goroutine that waits to change GOMAXPROCS, nor names for mappings; only where the calls show each span do
    they show it."""
    shown = {**debug_of(config, program), **_godebug(config, program)}
    if told:
        yield told
        return
    if config.updates_procs and "harddecommit" in shown and not program.told_names:
        yield {"updatemaxprocs": 0, **shown}
    yield shown
    yield {**shown, "sbrk": 1}


def _godebug(config: Config, program: ProgramCalls) -> dict[str, int]:
    """Of the GODEBUG that a program had, the settings that its machine follows."""
    known = debug_settings(config, MemLinux.SETTINGS)
    found = {}
    for setting in program.environment.get("GODEBUG", "").split(","):
        name, _, value = setting.partition("=")
        if name in known and value.isdecimal():
            found[name] = int(value)
    return found


def collects(program: ProgramCalls) -> bool:
    """Whether collections may begin as soon as the runtime allows them; otherwise at 4 MB at the earliest."""
    percent = program.environment.get("GOGC", "")
    often = percent.isdecimal() and int(percent) < USUAL_GOGC
    return often or program.environment.get("GOMEMLIMIT", "off") != "off"


def _of_procs(program: ProgramCalls) -> Iterable[tuple[int, int, int]]:
    """COURSES, or the like of them on as many Ps as the program was given."""
    told = program.environment.get("GOMAXPROCS", "")
    if not told.isdecimal() or not int(told):
        return COURSES
    procs = int(told)
    return dict.fromkeys((procs, min(main, procs - 1), min(other, procs - 1)) for _, main, other in COURSES)


def debug_of(config: Config, program: ProgramCalls) -> dict[str, int]:
    """What GODEBUG said, as far as the calls show it: whether the heap was to have no huge pages, and whether
    memory is mapped again where it is used.
    """
    disabled = any(
        _is_growth(config, one)
        and (other.name, other.access, other.address) == ("advise", NOHUGEPAGE, one.address)
        for one, other in pairwise(program.unnamed)
    )
    found = {"disablethp": 1} if disabled else {}
    if _mapped_again(program) is not None:
        found["harddecommit"] = 1
    return found


def _mapped_again(program: ProgramCalls) -> Call | None:
    """The first call that maps what an earlier one has mapped already."""
    mapped: list[tuple[int, int]] = []
    for call in program.unnamed:
        if call.name == "map" and call.fixed and call.access == "rw" and isinstance(call.answer, int):
            if any(begin <= call.answer < end for begin, end in mapped):
                return call
            mapped.append((call.answer, call.answer + call.size))
    return None


def padding(config: Config, program: ProgramCalls, base: tuple[int, int] | None) -> int:
    """The pages left out at the base of the heap, where the calls tell: the first mapped again is the first
    that is used."""
    if base is not None and _mapped_again(program) is not None:
        grown = next((call for call in program.unnamed if _is_growth(config, call)), None)
        begin, end = (grown.address, grown.address + grown.size) if grown is not None else (0, 0)
        for call in program.unnamed:
            if call.name == "map" and call.fixed and begin <= call.address < end and call is not grown:
                return call.address - begin >> config.page_shift
    return 0


def courses(
    config: Config, program: ProgramCalls, base: tuple[int, int] | None, cgo: bool = False
) -> Iterator[Surroundings]:
    """The usual course first; those of an early sample only where the calls give reason for it.

    Where all memory is mapped when it is used, the calls show each span. They show, then, for how many size
    classes the environment has strings, where the main goroutine's stack grew, and where a thread more began.
    """
    buckets = config.buck_hash_size * config.ptr_size
    profiled = any(call.size == buckets for call in program.unnamed)
    sampled = (False, True) if profiled else (False,)
    usual = Surroundings(
        environment=ENVIRONMENT if program.strings is None else program.strings,
        arguments=program.arguments or 1,
        masks=masks_of(config, program),
        cgo=cgo,
    )
    shown = "harddecommit" in debug_of(config, program)
    growths = range(4) if shown else (usual.grown,)
    environments = _environments(config, program, base, usual) if shown else [usual.environment]
    without_more = [
        replace(
            usual,
            procs=procs,
            main_on=main,
            scavenger_on=scavenger,
            sampled=early,
            environment=strings,
            grown=grown,
        )
        for grown, strings, early, (procs, main, scavenger) in product(
            growths, environments, sampled, _of_procs(program)
        )
    ]
    yield from without_more
    if profiled or config.early_debug:
        yield from (replace(where, profiles=True) for where in without_more if not where.sampled)
    for where, more in product(without_more, (1, 2) if shown else ()):
        for places in combinations_with_replacement(PLACES, more):
            yield replace(where, threads=(BUSY, *places) if where.procs > 1 else places)


def _environments(
    config: Config, program: ProgramCalls, base: tuple[int, int] | None, usual: Surroundings
) -> list[tuple[int, ...]]:
    """What is told, or the environments with which the usual course goes as far as with any: all else comes
    after them."""
    if program.strings is not None:
        return [program.strings]
    found: dict[int, list[tuple[int, ...]]] = {}
    debug, pages = debug_of(config, program), padding(config, program, base)
    for strings in (ENVIRONMENT, *map(_strings, range(len(STRINGS) + 1))):
        around = replace(usual, environment=strings)
        answers = start(config, program, base, pages, around, debug).answers
        reached = answers.differences[0].place if answers.differences else answers.place
        found.setdefault(reached, []).append(strings)
    return found[max(found)]


def _strings(classes: int) -> tuple[int, ...]:
    """An environment of the usual many strings, that are of so many size classes."""
    found = STRINGS[:classes]
    return found + found[:1] * (len(ENVIRONMENT) - classes)


def masks_of(config: Config, program: ProgramCalls) -> tuple[int, ...]:
    """Bytes of the pointer masks of data and bss: those of a small program, and what is so large that the
    system is asked for it alone. The only other such sizes are of records that are known."""
    known = {config.buck_hash_size * config.ptr_size, *config.sizeof.values()}
    large = [
        call.size
        for call in program.unnamed
        if call.name == "map" and call.access == "rw" and not call.fixed
        if call.size >= MAX_BLOCK and call.size % PAGE and call.size not in known
    ]
    return (MASKS, *large)


def grows_again(config: Config, program: ProgramCalls) -> bool:
    """Whether the heap grew more than once, so that pages may have been left out at its base."""
    return sum(_is_growth(config, call) for call in program.unnamed) > 1


def grew_too_soon(config: Config, answers: Answers) -> bool:
    """Whether the machine's heap grew where the program's did something else first."""
    asked = answers.differences[0].asked if answers.differences else None
    return asked is not None and _is_growth(config, asked)


def _is_growth(config: Config, call: Call) -> bool:
    return call.name == "map" and call.fixed and call.size >= config.palloc_chunk_bytes


@dataclass(frozen=True, slots=True)
class Start:
    """A machine that was started with a program's answers: its last words where it died of them, and how many
    of the calls after its start follow from what the program allocates.
    """

    answers: Answers
    rt: Runtime
    death: str | None
    by_program: int


def start(
    config: Config,
    program: ProgramCalls,
    base: tuple[int, int] | None,
    padding: int,
    around: Surroundings,
    settings: Mapping[str, int] | None = None,
    *,
    further: bool = False,
    collects: bool = False,
) -> Start:
    """The machine's start with the program's answers, and, `further`, what the program makes of it.

    `padding` pages are left out at the heap's base, where that is random. `settings` are those of GODEBUG.
    `collects`: collections may begin at once.
    """
    answers = Answers(list(program.calls))
    seed = None if base is None else seed_for(config, *base, padding)
    rt = Runtime.__new__(Runtime)
    rt.prepare(config, answers, heap_seed=seed)
    settings = dict(settings or {})
    if config.names_mappings and not program.told_names:
        settings["decoratemappings"] = 0  # the program did not, or the tracer does not show it
    machines.debug(rt, settings)
    if around.profiles:
        table = config.buck_hash_size * config.ptr_size
        around = replace(around, samples=lambda: (call := answers.peek()) is not None and call.size == table)
    death = started = None
    try:
        rt.start_in(around)
        started = answers.place
        if further:
            Onward(rt, answers, collects).run()
    except EndOfAnswers:
        pass
    except Death as died:
        death = died.words
    return Start(answers, rt, death, 0 if started is None else answers.place - started)
