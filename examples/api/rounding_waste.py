"""What a size histogram wastes by rounding and at span tails, on a platform with larger pages."""

import numpy as np

from archcalc.boot import boot

rng = np.random.default_rng(7)
sizes = np.minimum(rng.lognormal(4.5, 1.2, 200_000).astype(np.int64) + 1, 30_000)
for shift in (13, 14, 15):
    rt = boot("linux/amd64", sets={"_PageShift": shift})
    rt.malloc_many(sizes, noscan=True)
    stats = rt.memstats()
    waste = 1 - sizes.sum() / stats["HeapInuse"]
    print(f"pages of {1 << shift}: {stats['HeapInuse']} bytes in spans, {waste:.1%} of them not asked for")
