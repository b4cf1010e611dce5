"""Many at once leaves what one by one leaves: addresses, and the whole machine, from any state before."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from effort import examples, phases
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_state import differences, state_of

from allocator.common import at_once
from allocator.common.bulk import base_batch, batch_layout, batches, codes, moments
from allocator.common.bulk.codes import BLOCK
from allocator.common.bulk.engine import has_numba
from allocator.common.throw import BadRequest, Death
from allocator.common.types import BadType, Type
from allocator.contiguous.bulk import batch, row, use_compiled
from allocator.contiguous.runtime import Runtime
from archcalc.boot import boot
from archcalc.profiles import platforms
from archcalc.workloads.driver import types_for

Ints = Any

ENGINES = ("numpy", "compiled")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """NumPy by itself, and compiled code."""
    if request.param == "compiled" and not has_numba():
        pytest.skip("Numba is not installed")
    use_compiled(request.param == "compiled")
    yield str(request.param)
    use_compiled(None)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done for many objects, blocks and spans at once is done for few."""
    monkeypatch.setattr(moments, "WORTH_IT", 2)
    monkeypatch.setattr(batch, "PATIENCE", 3)
    monkeypatch.setattr(base_batch, "BLOCK", 512)
    monkeypatch.setattr(codes, "LOOKED_UP", 512)
    monkeypatch.setattr(batch_layout, "BLOCK", 512)
    monkeypatch.setattr(batches, "AT_ONCE", 3000)
    monkeypatch.setattr(at_once, "MANY", 1)


class Pair:
    """Two machines that started alike: on `bulk` things are done at once, on `single` one by one."""

    def __init__(self, platform: str, **options: Any) -> None:
        self.bulk = boot(platform, **options)
        self.single = boot(platform, **options)
        self.live: list[int] = []
        self.dead = False

    def malloc(
        self, sizes: Ints, typ: Any = None, types: Ints = None, noscan: bool | None = None, p: Ints = 0
    ) -> None:
        """Allocates on both, and compares."""
        n = len(sizes)
        words: list[Any] = [None, None]
        found = np.zeros(n, np.uint64)
        try:
            found = self.bulk.malloc_many(sizes, typ=typ, types=types, noscan=noscan, p=p)
        except (Death, BadType) as death:
            words[0] = self.bulk.last_words(death) if isinstance(death, Death) else str(death)
        procs = np.broadcast_to(np.asarray(p), (n,)).tolist()
        wanted: list[int] = []
        try:
            for i, size in enumerate(np.asarray(sizes).tolist()):
                t = typ if types is None else typ[types[i]] if types[i] >= 0 else None
                wanted.append(self.single.malloc(size, t, noscan, True, procs[i]))
        except (Death, BadType) as death:
            words[1] = self.single.last_words(death) if isinstance(death, Death) else str(death)
        assert words[0] == words[1]
        self.dead = words[0] is not None
        if not self.dead:
            assert found.dtype == np.uint64
            assert found.tolist() == wanted
        self.compare()
        self.live += [v for v in wanted if v != self.single.zerobase]

    def each(self, call: str, *args: Any, **named: Any) -> Any:
        """The same on both."""
        first = getattr(self.bulk, call)(*args, **named)
        second = getattr(self.single, call)(*args, **named)
        assert first == second
        return first

    def collect(self, keep: float, mode: str, rng: random.Random) -> None:
        """Collects, at once from an array on the one, from a list on the other."""
        seen = dict.fromkeys(v for v in self.live if rng.random() < keep)
        self.live = [v for v in seen if self.bulk.heap.lookup_maybe(v) >= 0]
        self.bulk.collect(np.array(self.live, np.uint64), mode=mode)
        with one_by_one():
            self.single.collect(self.live, mode=mode)
        self.compare()

    def compare(self) -> None:
        """Asserts that they are alike."""
        assert differences(state_of(self.bulk), state_of(self.single)) == []


class one_by_one:
    """Within it, the collector does nothing at once."""

    def __enter__(self) -> None:
        self.many = at_once.MANY
        at_once.MANY = 1 << 62

    def __exit__(self, *_: object) -> None:
        at_once.MANY = self.many


def mixed(rng: np.random.Generator, n: int, powers: int = 10) -> Ints:
    """Sizes as the benchmark of the real runtime has them."""
    k = rng.integers(0, powers, n)
    return (1 << k) + (rng.random(n) * (1 << k)).astype(np.int64)


def request(rng: np.random.Generator, kind: str, n: int, ptr_size: int) -> dict[str, Any]:
    """Arguments of a call."""
    types = types_for(ptr_size)
    quiet = Type.of_words("bytes", "..", ptr_size)
    sizes = mixed(rng, n, int(rng.integers(1, 14)))
    if kind == "noscan":
        return {"sizes": sizes, "noscan": True}
    if kind == "none":
        return {"sizes": sizes.astype(rng.choice([np.uint16, np.int32, np.uint64]))}
    if kind == "pointers":
        return {"sizes": sizes, "noscan": False}
    if kind == "one size":
        return {"sizes": np.full(n, rng.choice([0, 1, 3, 8, 16, 24, 64, 4000, 32768]))}
    if kind == "tiny":
        return {"sizes": rng.choice([0, 1, 2, 3, 4, 5, 7, 8, 12, 15, 16], n)}
    if kind == "large":
        few = rng.random(n) < 0.01
        return {"sizes": np.where(few, rng.integers(32769, 200_000, n), np.minimum(sizes, 500))}
    if kind == "typ":
        typ = types[rng.integers(0, len(types))]
        return {"sizes": typ.size * rng.integers(1, rng.choice([2, 9]), n), "typ": typ}
    index = rng.integers(-1, len(types) + 1, n)
    several = [*types, quiet]
    words = np.array([t.size for t in several] + [0])
    counted = words[index] * np.where(rng.random(n) < 0.2, rng.integers(1, 5, n), 1)
    return {
        "sizes": np.where(index >= 0, counted, np.minimum(sizes, 700)),
        "typ": several,
        "types": index.astype(rng.choice([np.int8, np.int64])),
        "noscan": [None, True, False][rng.integers(0, 8) // 3] if kind == "types" else None,
    }


KINDS = ("noscan", "none", "pointers", "one size", "tiny", "large", "typ", "types")

STEP = st.one_of(
    st.tuples(st.just("malloc"), st.sampled_from(KINDS), st.sampled_from([70, 700, 4000]), st.booleans()),
    st.tuples(st.just("single"), st.integers(1, 120)),
    st.tuples(
        st.just("collect"),
        st.sampled_from([0.0, 0.1, 0.5, 0.97, 1.0]),
        st.sampled_from(["block", "force", "background"]),
    ),
    st.tuples(st.just("everything")),
    st.tuples(st.just("scavenge")),
    st.tuples(st.just("stack"), st.sampled_from([2048, 32768])),
    st.tuples(st.just("finalizer"), st.integers(1, 5)),
    st.tuples(st.just("sweep"), st.integers(1, 20)),
)


@pytest.mark.parametrize("which", ENGINES)
@settings(max_examples=examples(50), phases=phases())
@given(
    seed=st.integers(0, 1 << 32),
    platform=st.sampled_from(platforms.names()),
    gogc=st.sampled_from([-1, -1, 100, 10]),
    procs=st.sampled_from([1, 1, 3]),
    rate=st.sampled_from([0, 0, 0, 1, 3000, 200_000]),
    steps=st.lists(STEP, min_size=2, max_size=7),
)
@pytest.mark.usefixtures("small_steps")
def test_from_any_state(
    which: str, seed: int, platform: str, gogc: int, procs: int, rate: int, steps: list[tuple[Any, ...]]
) -> None:
    """Whatever came before, whoever allocates, whatever is collected meanwhile."""
    if which == "compiled" and not has_numba():
        pytest.skip("Numba is not installed")
    use_compiled(which == "compiled")
    try:
        play(seed, Pair(platform, gogc=gogc, procs=procs, mem_profile_rate=rate), steps, procs, gogc)
    finally:
        use_compiled(None)


def play(seed: int, pair: Pair, steps: list[tuple[Any, ...]], procs: int, gogc: int) -> None:
    """Does all the steps on both machines, comparing them after each."""
    rng, dice = np.random.default_rng(seed), random.Random(seed)
    for what, *how in steps:
        if what == "malloc":
            kind, n, everybody = how
            arguments = request(rng, kind, n, pair.bulk.config.ptr_size)
            arguments["p"] = rng.integers(0, procs, n) if everybody else int(rng.integers(0, procs))
            pair.malloc(**arguments)
            if pair.dead:
                return
        elif what == "single":
            for _ in range(how[0]):
                size, p = dice.choice([1, 5, 16, 48, 100, 1000, 5000, 40_000]), dice.randrange(procs)
                pair.live.append(pair.each("malloc", size, p=p))
        elif what == "collect":
            keep, mode = how
            pair.collect(keep, "force" if gogc < 0 and mode == "background" else mode, dice)
        elif what == "everything":
            pair.bulk.collect(True)
            with one_by_one():
                pair.single.collect(True)
        elif what == "scavenge":
            pair.each("scavenge")
        elif what == "stack":
            pair.each("stack_alloc", how[0], p=dice.randrange(procs))
        elif what == "finalizer":
            # An object may be told of twice, as a tiny block is; one finalizer is all that it gets.
            for v in dice.sample(pair.live, min(how[0], len(pair.live))):
                if pair.bulk.heap.lookup_maybe(v) >= 0:
                    pair.each("set_finalizer", v)
        else:
            for _ in range(how[0]):
                pair.each("sweepone")
        pair.compare()


def test_every_platform(platform: str, engine: str) -> None:
    """A day in the life on each: fresh spans, holes, tiny objects, types, large objects."""
    rng, dice = np.random.default_rng(5), random.Random(5)
    pair = Pair(platform, gogc=60)
    pair.malloc(mixed(rng, 3000))
    pair.collect(0.5, "block", dice)
    for kind in ("types", "large", "pointers", "none"):
        pair.malloc(**request(rng, kind, 1500, pair.bulk.config.ptr_size))
        pair.collect(0.7, "force", dice)


def test_hundred_thousand(engine: str) -> None:
    """As large as makes all that is done in rows come about by itself."""
    rng = np.random.default_rng(2)
    pair = Pair("linux/amd64", gogc=100)
    pair.malloc(mixed(rng, 300_000), noscan=True)
    pair.malloc(**request(rng, "types", 60_000, 8))
    assert pair.bulk.stats.numgc > 2
    pair.malloc(np.full(150_000, 8), noscan=False)


@pytest.mark.parametrize("size", [32, 5])
def test_objects_of_several_ps_in_more_blocks_than_16_bits_count(engine: str, size: int) -> None:
    """Places in blocks have 16 bits, and times do not: of blocks as they are, not of smaller ones."""
    n = 5 * BLOCK - 7
    pair = Pair("linux/amd64", procs=4)
    pair.malloc(np.full(n, size), noscan=True, p=np.random.default_rng(size).integers(0, 4, n))


def test_all_at_the_end_of_the_heap(engine: str) -> None:
    """Without a collector nothing stands between the spans."""
    rng = np.random.default_rng(3)
    pair = Pair("linux/amd64", procs=3)
    for p in (0, rng.integers(0, 3, 60_000), 2):
        pair.malloc(mixed(rng, 60_000), p=p)


# What ends it.


@pytest.mark.parametrize(
    ("platform", "limit", "least"),
    [
        ("linux/amd64", "ulimit_v", 1_500_000),
        ("linux/amd64", "rlimit_data", 500_000),
        ("linux/arm64", "ulimit_v", 1_500_000),
        ("windows/amd64", "commit_limit", 500_000),
        ("solaris/amd64", "commit_limit", 500_000),
    ],
)
def test_running_out_of_memory(engine: str, platform: str, limit: str, least: int) -> None:
    """Wherever the OS refuses, the machine dies at the same object, with the same words and state."""
    sizes = mixed(np.random.default_rng(4), 60_000)
    deaths = set()
    for more in range(0, 14_000_000, 634_000):
        try:
            pair = Pair(platform, **{limit: least + more})
        except Death:
            continue
        pair.malloc(sizes)
        if pair.dead:
            deaths.add(pair.bulk.stats.heap_live)
    assert len(deaths) > 7


def test_arena_ends(engine: str) -> None:
    """A 32-bit reservation gives out, and spans come from elsewhere until nothing is left."""
    pair = Pair("linux/386", ulimit_v=700_000_000)
    rng = np.random.default_rng(6)
    while not pair.dead:
        pair.malloc(rng.choice([32768, 20_000, 1000], 8000), noscan=True)
    assert pair.bulk.stats.heap_inuse > 100 << 20


@pytest.mark.usefixtures("small_steps")
def test_interrupted(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, wherever it comes, is what the caller gets, and no thread is left behind."""
    before = threading.active_count()
    steps = 0
    kept = row.SpanRow._step

    def step(self: Any, i: int, depth: int) -> bool:
        nonlocal steps
        steps += 1
        if steps == 9:
            raise KeyboardInterrupt
        return kept(self, i, depth)

    monkeypatch.setattr(row.SpanRow, "_step", step)
    rt = boot("linux/amd64")
    with pytest.raises(KeyboardInterrupt):
        rt.malloc_many(mixed(np.random.default_rng(2), 90_000), noscan=True)
    assert steps == 9
    assert threading.active_count() == before


def test_dying_at_a_large_object(engine: str) -> None:
    """What was allocated before it stays."""
    sizes = np.full(500, 100, np.int64)
    sizes[321] = 1 << 46
    pair = Pair("linux/amd64")
    pair.malloc(sizes)
    assert pair.dead


def test_a_size_that_contradicts_its_type(engine: str) -> None:
    """It is found when it is asked for; those before it are there."""
    pair = Pair("linux/amd64")
    typ = Type.of_words("four", "pp..", 8)
    sizes = np.full(700, 64)
    sizes[400] = 24
    pair.malloc(sizes, typ=typ)
    assert pair.dead
    pair.malloc(np.full(700, 64), typ=typ)
    assert not pair.dead


# The heap profile.


@pytest.mark.parametrize("rate", [1, 100, 4096, 512 * 1024])
def test_profile(engine: str, rate: int) -> None:
    """Samples fall on the same objects, and their records get the same memory."""
    rng = np.random.default_rng(7)
    pair = Pair("linux/amd64", mem_profile_rate=rate, procs=2, gogc=100)
    n = 800 if rate < 1000 else 40_000
    pair.malloc(**request(rng, "types", n, 8), p=rng.integers(0, 2, n))
    pair.malloc(**request(rng, "large", n, 8))
    pair.malloc(mixed(rng, n), noscan=False)
    assert pair.bulk.specials.buckets
    pair.collect(0.3, "block", random.Random(1))
    pair.malloc(mixed(rng, n))


# Arguments.


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", ">u2", "i4", "u4", ">i4", "i8", "u8", ">u8"])
def test_sizes_of_every_kind(dtype: str, engine: str) -> None:
    """Whatever integers the sizes are, and wherever they stand."""
    sizes = np.random.default_rng(8).integers(0, 120, 4000).astype(dtype)
    pair = Pair("linux/amd64")
    pair.malloc(sizes)
    pair.malloc(sizes[::-2])
    pair.malloc(sizes.tolist())  # type: ignore[arg-type]


def test_no_objects_and_few(engine: str) -> None:
    """Small calls are calls too."""
    pair = Pair("linux/amd64")
    for n in (0, 1, 2, 63, 64, 65):
        pair.malloc(np.arange(n))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sizes": np.zeros((2, 2), int)}, "flat array of whole numbers"),
        ({"sizes": np.array([1.5])}, "flat array of whole numbers"),
        ({"sizes": np.array([8, -1])}, "a size must be from 0 to 18446744073709551615"),
        ({"sizes": np.array([8]), "types": np.array([0])}, "types must be from -1 to -1"),
        (
            {"sizes": np.array([8]), "typ": types_for(8), "types": np.array([99])},
            "types must be from -1 to 8",
        ),
        ({"sizes": np.array([8]), "typ": types_for(8), "types": np.array([0, 0])}, "one for each size"),
        ({"sizes": np.array([8]), "typ": types_for(8)}, "several types need `types`"),
        ({"sizes": np.array([8]), "p": 1}, "p must be from 0 to 0"),
        ({"sizes": np.array([8, 8]), "p": np.array([0])}, "one for each object"),
    ],
)
def test_what_cannot_be_asked(arguments: dict[str, Any], words: str, amd64: Runtime) -> None:
    """Nothing happens but a message."""
    before = state_of(amd64)
    with pytest.raises(BadRequest) as refusal:
        amd64.malloc_many(**arguments)
    assert words in str(refusal.value)
    assert state_of(amd64) == before


def test_recorded_and_watched_machines(engine: str) -> None:
    """What looks at every object sees every object."""
    rng = np.random.default_rng(9)
    pair = Pair("linux/amd64", record=True)
    pair.malloc(**request(rng, "types", 300, 8))
    assert pair.bulk.log == pair.single.log
    pair = Pair("linux/amd64")
    pair.each("watch")
    pair.malloc(**request(rng, "types", 300, 8))
    assert pair.bulk.audit() == []


def test_a_machine_that_marks(engine: str) -> None:
    """During a concurrent cycle objects are born black, and pay by assists."""
    rng = np.random.default_rng(10)
    pair = Pair("linux/amd64", gogc=100)
    pair.malloc(**request(rng, "types", 3000, 8))
    pair.each("begin_mark", True)
    pair.malloc(**request(rng, "types", 3000, 8))


@pytest.mark.parametrize("gogc", [-1, 1000, 10])
@pytest.mark.parametrize("kind", ["noscan", "large", "types", "tiny"])
@pytest.mark.usefixtures("small_steps")
def test_laid_out_ahead(kind: str, gogc: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next batch's layout, made while this one runs, is taken if it fits, and dropped if not."""
    if not has_numba():
        pytest.skip("Numba is not installed")
    taken = []
    kept = batch.lay_out

    def watched(*args: Any) -> Any:
        found = kept(*args)
        taken.append(args[5] is not None and found[0] is args[5])
        return found

    monkeypatch.setattr(batch, "lay_out", watched)
    use_compiled(True)
    try:
        rng = np.random.default_rng(3)
        pair = Pair("linux/amd64", gogc=gogc)
        for _ in range(3):
            pair.malloc(**request(rng, kind, 14_000, 8))
    finally:
        use_compiled(None)
    # Where nothing is collected, all but the first of a call; types are learnt first.
    if gogc < 0:
        assert sum(taken) >= 3 * 4 - 2
    if gogc == 10 and kind != "tiny":
        assert not all(taken[1:])


def test_audit_after_all(engine: str, platform: str) -> None:
    """The invariants hold."""
    rng = np.random.default_rng(11)
    rt = boot(platform, gogc=100)
    for kind in KINDS:
        rt.malloc_many(**request(rng, kind, 3000, rt.config.ptr_size))
    assert rt.audit() == []


def test_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for compiled code where there is none says how to get it; by itself it is done without."""
    monkeypatch.setattr("allocator.common.bulk.engine.has_numba", lambda: False)
    monkeypatch.setattr("allocator.common.bulk.engine.PAYS", 0)
    with pytest.raises(ModuleNotFoundError, match=r"archcalc\[fast\]"):
        use_compiled(True)
    pair = Pair("linux/amd64")
    pair.malloc(np.arange(2000))


def test_compiled_when_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken by itself once a process has asked for enough, unless that was switched off.

    If it has to be made first, that is more.
    """
    if not has_numba():
        pytest.skip("Numba is not installed")
    from allocator.common.bulk.batch_layout import BatchLayout
    from allocator.common.bulk.compiled import LAYING_OUT, CompiledLayout

    LAYING_OUT.make()
    rt = boot("linux/amd64")
    made: list[type] = []
    kept = batch.lay_out

    def watched(*args: Any) -> Any:
        found = kept(*args)
        made.append(type(found[0]))
        return found

    def taken() -> type:
        rt.malloc_many(np.arange(100) % 2 + 100, noscan=True)
        return made[-1]

    monkeypatch.setattr(batch, "lay_out", watched)
    monkeypatch.setattr("allocator.common.bulk.engine._seen", 0)
    monkeypatch.setattr("allocator.common.bulk.engine.PAYS", 300)
    assert [taken() for _ in range(4)] == [BatchLayout, BatchLayout, CompiledLayout, CompiledLayout]
    monkeypatch.setattr(LAYING_OUT, "load", lambda: False)
    monkeypatch.setattr(LAYING_OUT, "make", lambda: None)
    monkeypatch.setattr("allocator.common.bulk.engine.MAKES", 600)
    assert [taken() for _ in range(2)] == [BatchLayout, CompiledLayout]
    use_compiled(False)
    try:
        assert taken() is BatchLayout
    finally:
        use_compiled(None)
