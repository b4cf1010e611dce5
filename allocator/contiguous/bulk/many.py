"""malloc_many: what its arguments mean, and which way its objects go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.throw import BadRequest
from allocator.common.types import Type
from allocator.contiguous.bulk.aside import Aside
from allocator.contiguous.bulk.batch import Batch
from allocator.contiguous.bulk.codes import BLOCK, CLASSES, Coder, Kinds
from allocator.contiguous.bulk.engine import expect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.contiguous.runtime import Runtime

Ints = np.ndarray[Any, np.dtype[Any]]

AT_ONCE = 1 << 21  # objects handled at a time: what is kept for each stays in bounds
KEPT = 31 << 20  # bytes; glibc's own limit is 32 MB
SMALL = 64  # fewer than so many are quicker one by one


def malloc_many(
    rt: Runtime,
    sizes: Any,
    noscan: bool | None = None,
    typ: Type | Sequence[Type] | None = None,
    types: Any = None,
    needzero: bool = True,
    p: Any = 0,
) -> Ints:
    """The addresses (uint64) of objects of these sizes, as `malloc` would have given them one by one.

    sizes: a flat array of bytes. typ: one type for all, or several with `types`, an index into them
    for each object, -1 for none. noscan and needzero are those of `malloc`, for all objects. p: the
    P that allocates, one for all or one for each.

    The machine is afterwards as one by one leaves it. A collection that an allocation triggers is
    run behind that allocation. Raises Death where the runtime dies in the middle, BadType for a
    type and size that contradict each other, both with the machine as it was then; and BadRequest,
    before anything happens, for what cannot be asked. KeyboardInterrupt leaves a machine that is
    good for nothing.
    """
    asked = np.asarray(sizes)
    if asked.ndim != 1 or (asked.size and asked.dtype.kind not in "iu"):
        raise BadRequest("sizes are a flat array of whole numbers")
    least, most = _extremes(asked)
    if least < 0 or most > rt.config.uintptr_mask:
        raise BadRequest(f"a size is 0 to {rt.config.uintptr_mask}")
    kinds = _kinds(rt, typ, types, noscan, asked.size)
    procs = _procs(rt, p, asked.size)
    expect(asked.size)
    if asked.size >= BLOCK:
        _keep_memory()
    out = np.empty(asked.size, np.uint64)
    coder: Coder | None = None
    at = 0
    step = AT_ONCE
    # Where collections come often, most of what is prepared would be prepared in vain.
    steady = not rt.stats.enablegc or rt.gc.gcpercent < 0
    with Aside() as aside:
        while at < asked.size:
            end = min(at + step, asked.size)
            who = procs if isinstance(procs, int) else procs[at:end]
            those = kinds.part(at, end)
            part = out[at:end]
            done = 0
            if end - at >= SMALL and rt.unseen and len(rt.class_to_size) < CLASSES:
                if coder is None:
                    coder = Coder(rt, kinds, least, most)
                batch = Batch(rt, asked[at:end], coder, those, who, needzero, part, aside.laid_out(at, end))
                if batch.n < end - at:
                    coder = None
                elif end < asked.size and steady and step == AT_ONCE:
                    after = min(end + step, asked.size)
                    job = batch.layout.successor(asked[end:after], kinds.part(end, after).index)
                    if job is not None:
                        aside.lay_out(end, after, job)
                if batch.n:
                    done = batch.run()
                    if batch.layout.compiled and at + done < asked.size:
                        aside.write(batch.write)
                    else:
                        batch.write()
            if not done:
                coder = None
                few = min(end - at, SMALL)
                done = _one_by_one(rt, asked[at : at + few], those, needzero, who, part)
            steady = done == end - at
            step = min(max(4 * done, 1024), AT_ONCE)
            at += done
    return out


def _extremes(sizes: Ints) -> tuple[int, int]:
    """The smallest and the largest, a block at a time, so that it is read once."""
    blocks = [sizes[at : at + BLOCK] for at in range(0, len(sizes), BLOCK)]
    found = [(int(block.min()), int(block.max())) for block in blocks] or [(0, 0)]
    return min(least for least, _ in found), max(most for _, most in found)


def _keep_memory() -> None:
    """Teaches the C library to keep the temporary arrays' memory instead of returning it every time.

    glibc keeps freed blocks up to the size of the largest that was mapped by itself and freed.
    Nothing is touched, so this costs two system calls; getting each page anew costs much more.
    """
    np.empty(KEPT, np.uint8)


def _kinds(rt: Runtime, typ: Type | Sequence[Type] | None, types: Any, noscan: bool | None, n: int) -> Kinds:
    """Which object is of which type, `noscan` being taken into account."""

    def told(t: Type | None) -> Type | None:
        if t is None:
            return rt.pointer_type if noscan is False else None
        return None if noscan and not t.noscan else t

    if types is None:
        if typ is not None and not isinstance(typ, Type):
            raise BadRequest("several types want `types`, which says which object has which")
        return Kinds([], None, told(typ))
    table = [] if typ is None else [typ] if isinstance(typ, Type) else list(typ)
    index = np.asarray(types)
    if index.shape != (n,) or (n and index.dtype.kind not in "iu"):
        raise BadRequest("types is a flat array of whole numbers, one for each size")
    if n and not -1 <= int(index.min()) <= int(index.max()) < len(table):
        raise BadRequest(f"types are -1 to {len(table) - 1}")
    return Kinds([told(t) for t in table], index, told(None))


def _procs(rt: Runtime, p: Any, n: int) -> Ints | int:
    """The P of each object, or of all."""
    procs = np.asarray(p)
    if procs.ndim > 1 or procs.dtype.kind not in "iu" or (procs.ndim and procs.size != n):
        raise BadRequest("p is one number, or one for each object")
    if procs.size and not 0 <= int(procs.min()) <= int(procs.max()) < len(rt.caches):
        raise BadRequest(f"there are Ps 0 to {len(rt.caches) - 1}")
    return int(procs) if procs.ndim == 0 else procs


def _one_by_one(rt: Runtime, sizes: Ints, kinds: Kinds, needzero: bool, procs: Ints | int, out: Ints) -> int:
    for i, size in enumerate(sizes.tolist()):
        typ = kinds.of(i)
        number = procs if isinstance(procs, int) else int(procs[i])
        if typ is rt.pointer_type:
            out[i] = rt.malloc(size, None, False, needzero, number)
        else:
            out[i] = rt.malloc(size, typ, None, needzero, number)
    return len(sizes)
