"""The workloads: each a function over a `Driver` whose `n` says about how many allocations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from archcalc.reading.errors import Fault, UsageFault
from archcalc.reading.names import closest
from archcalc.workloads.driver import Driver

ENOUGH = 1 << 40  # bytes


def mixed(d: Driver) -> None:
    """Objects of all sizes and types, a third dying between collections."""
    for i in range(d.n):
        kind = d.rng.random()
        if kind < 0.35:
            d.malloc(d.size(1, 2048), keep=d.rng.random() < 0.7)
        elif kind < 0.9:
            typ = d.rng.choice(d.types[:-1])
            d.malloc(typ.size * d.rng.choice((1, 1, 1, 2, 3, 7)), typ, keep=d.rng.random() < 0.7)
        elif kind < 0.98:
            d.malloc(d.size(2048, 32768), keep=d.rng.random() < 0.5)
        elif kind < 0.99:
            d.malloc(d.types[-1].size * d.rng.randrange(1, 4), d.types[-1])
        else:
            d.malloc(d.size(32769, 1 << 19))
        if i % max(d.n // 6, 1) == d.n // 12:
            d.drop(0.3)
            d.collect(d.rng.choice(("block", "force", "background")))
    d.rt.scavenge()


def tiny(d: Driver) -> None:
    """Objects of less than 16 bytes without pointers, which share blocks."""
    for i in range(d.n):
        d.malloc(d.rng.randrange(1, 16), keep=d.rng.random() < 0.3)
        if i % max(d.n // 4, 1) == d.n // 8:
            d.drop(0.5)
            d.collect()


def large(d: Driver) -> None:
    """Objects of more than 32 KB, kept and dropped, and their pages given back."""
    room = 1 << 22 if d.rt.config.is_64bit else 1 << 19
    for i in range(max(d.n // 40, 20)):
        typ = d.types[d.rng.randrange(4)] if d.rng.random() < 0.3 else None
        size = d.size(32769, room)
        d.malloc(size - size % typ.size if typ else size, typ, keep=d.rng.random() < 0.4)
        if i % 40 == 39:
            d.drop(0.4)
            d.collect("force" if i % 80 == 39 else "block")
            d.rt.scavenge()


def stacks(d: Driver) -> None:
    """Stacks of all orders coming, growing and going, a collection between."""
    rt = d.rt
    open_stacks: list[tuple[int, int]] = []
    for i in range(d.n // 4):
        if open_stacks and d.rng.random() < 0.48:
            v, n = open_stacks.pop(d.rng.randrange(len(open_stacks)))
            rt.stack_free(v, n)
        else:
            n = rt.config.fixed_stack << d.rng.choice((0, 0, 0, 0, 1, 1, 2, 3, 4, 5))
            open_stacks.append((rt.stack_alloc(n), n))
        if i % max(d.n // 12, 1) == 0:
            d.malloc(d.rng.randrange(16, 4096))
            d.collect()
    for v, n in open_stacks:
        rt.stack_free(v, n)
    d.collect()


def trees(d: Driver) -> None:
    """Binary trees in the simulated heap; what survives is found from their roots."""
    rt = d.rt
    ptr = rt.config.ptr_size
    node = d.types[4]
    roots: list[int] = []
    depth = 6
    for i in range(max(d.n // (1 << depth), 4)):
        level = [d.malloc(node.size, node, keep=False)]
        roots.append(level[0])
        for _ in range(depth - 1):
            below = []
            for parent in level:
                for slot in (0, 1):
                    child = d.malloc(node.size, node, keep=False)
                    rt.store(parent + slot * ptr, child)
                    below.append(child)
            level = below
        if i % 8 == 7:
            roots = [root for root in roots if d.rng.random() < 0.6]
            rt.collect(roots=roots, mode=d.mode("block" if i % 16 == 7 else "background"))
            d.audit()


def finalizers(d: Driver) -> None:
    """Objects with finalizers: kept once when they die, then gone."""
    rt = d.rt
    for i in range(d.n // 2):
        typ = d.rng.choice(d.types[:-1]) if d.rng.random() < 0.6 else None
        v = d.malloc(typ.size if typ else d.rng.randrange(1, 256), typ, keep=d.rng.random() < 0.4)
        if d.rng.random() < 0.15:
            rt.set_finalizer(v)
        if i % max(d.n // 8, 1) == d.n // 16:
            d.drop(0.4)
            d.collect(d.rng.choice(("block", "force")))
            d.finalizers_run += len(rt.run_finalizers())


def procs(d: Driver) -> None:
    """Several Ps allocating in turn, each from its own mcache."""
    count = d.rt.procs
    for i in range(d.n):
        p = d.rng.randrange(count)
        if d.rng.random() < 0.5:
            d.malloc(d.size(1, 4096), p=p, keep=d.rng.random() < 0.6)
        else:
            typ = d.rng.choice(d.types[:-1])
            d.malloc(typ.size, typ, p=p, keep=d.rng.random() < 0.6)
        if d.rng.random() < 0.02:
            d.rt.stack_free(d.rt.stack_alloc(d.rt.config.fixed_stack, p), d.rt.config.fixed_stack, p)
        if i % max(d.n // 5, 1) == d.n // 10:
            d.drop(0.4)
            d.collect(d.rng.choice(("block", "force", "background")))


def churn(d: Driver) -> None:
    """A rising heap under steady turnover, swept in proportion to allocation."""
    rounds = 8
    for turn in range(rounds):
        for _ in range(d.n // rounds):
            typ = d.rng.choice((None, None, *d.types[:-1]))
            size = typ.size if typ else d.size(8, 8192)
            d.malloc(size, typ, keep=d.rng.random() < 0.3 + 0.05 * turn)
        d.drop(0.2)
        d.collect("background")
        if turn % 3 == 2:
            d.rt.scavenge()


def exhaust(d: Driver) -> None:
    """Allocates until the runtime dies of it. Ends with a Death, or when n allocations did not do it.

    A terabyte is enough: no computer has as much, and only the address space could stop more.
    """
    huge = 8 << 30 if d.rt.config.is_64bit else 24 << 20
    for _ in range(d.n):
        if d.asked > ENOUGH:
            return
        for _ in range(3):
            d.malloc(d.rng.randrange(16, 2048))
        d.malloc(d.rng.randrange(huge // 2, huge))


WORKLOADS: Mapping[str, Callable[[Driver], None]] = {
    "mixed": mixed,
    "tiny": tiny,
    "large": large,
    "stacks": stacks,
    "trees": trees,
    "finalizers": finalizers,
    "procs": procs,
    "churn": churn,
    "exhaust": exhaust,
}
MOST_PROCS = 256  # what GOMAXPROCS may be here: _MaxGomaxprocs, which later releases no longer have
PROCS = {"procs": 4}  # GOMAXPROCS, where it is not 1
GOGC = {"churn": 100}  # where it is not off; with it off no concurrent cycle begins
FATAL = frozenset({"exhaust"})  # workloads whose natural end is the runtime's death


def named(name: str) -> str:
    """The name of a workload that there is. Raises UsageFault."""
    if name not in WORKLOADS:
        known = list(WORKLOADS)
        raise UsageFault(Fault(f"no workload {name!r}", "one of " + ", ".join(known), closest(name, known)))
    return name


def chosen(names: Iterable[str]) -> list[str]:
    """The workloads of those names, in order; `all` among them means every one. Raises UsageFault."""
    given = list(names)
    return list(WORKLOADS) if "all" in given else [named(name) for name in given]
