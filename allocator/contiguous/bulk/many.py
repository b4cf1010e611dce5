"""malloc_many: what its arguments mean, and which way its objects go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.common.many import Kinds, kinds_of, procs_of, sizes_of
from allocator.common.types import Type
from allocator.contiguous.bulk.aside import Aside
from allocator.contiguous.bulk.batch import Batch
from allocator.contiguous.bulk.codes import BLOCK, CLASSES, Coder
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
    asked, least, most = sizes_of(sizes, rt.config.uintptr_mask)
    kinds = kinds_of(rt.pointer_type, typ, types, noscan, asked.size)
    procs = procs_of(p, asked.size, len(rt.caches))
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


def _keep_memory() -> None:
    """Teaches the C library to keep the temporary arrays' memory instead of returning it every time.

    glibc keeps freed blocks up to the size of the largest that was mapped by itself and freed.
    Nothing is touched, so this costs two system calls; getting each page anew costs much more.
    """
    np.empty(KEPT, np.uint8)


def _one_by_one(rt: Runtime, sizes: Ints, kinds: Kinds, needzero: bool, procs: Ints | int, out: Ints) -> int:
    for i, size in enumerate(sizes.tolist()):
        typ = kinds.of(i)
        number = procs if isinstance(procs, int) else int(procs[i])
        if typ is rt.pointer_type:
            out[i] = rt.malloc(size, None, False, needzero, number)
        else:
            out[i] = rt.malloc(size, typ, None, needzero, number)
    return len(sizes)
