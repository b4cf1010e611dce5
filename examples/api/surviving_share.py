"""How much of a heap stays taken when a share of a million objects survives: evenly spread, or the oldest."""

import numpy as np

from allocator.contiguous.heap_bitmap import Type
from archcalc.boot import boot

N = 1_000_000
node = Type.of_words("node", "p..p", 8)  # 32 bytes, two of its words pointers
pair = Type.of_words("pair", "pp", 8)
chosen = np.random.default_rng(5).integers(0, 2, N)
print("survive  objects   spread: in use  occupied   oldest: in use  occupied")
for share in (0.5, 0.1, 0.02):
    row = []
    for spread in (True, False):
        rt = boot("linux/amd64")
        objects = rt.malloc_many(np.where(chosen, 16, 32), typ=[node, pair], types=chosen)
        step = round(1 / share)
        live = objects[::step] if spread else objects[: N // step]
        rt.collect(live)
        stats = rt.memstats()
        row.append((stats["HeapInuse"], stats["HeapAlloc"] / stats["HeapInuse"]))
        assert stats["HeapObjects"] == len(live)
    (a, b), (c, d) = row
    print(f"{share:7.0%} {len(live):8} {a:16} {b:9.1%} {c:16} {d:9.1%}")
