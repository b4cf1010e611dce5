"""Boot a machine, allocate a few objects, and see where they lie."""

from archcalc.boot import boot

rt = boot("linux/amd64")
small = rt.malloc(100, noscan=True)  # rounded up to the class of 112 bytes
tiny = rt.malloc(3), rt.malloc(5)  # objects without pointers below 16 bytes share a block
large = rt.malloc(100_000)  # a span of its own

span = rt.spans.describe(rt.heap.lookup(small))
print(f"100 bytes at {small:#x}, in a span of {span['nelems']} objects of {span['elemsize']} bytes")
print(f"3 and 5 bytes at {tiny[0]:#x} and {tiny[1]:#x}")
print(f"100000 bytes at {large:#x}, {rt.spans.npages[rt.heap.lookup(large)]} pages")

rt.collect(live=[small, tiny[1]])
print(f"after a collection: {rt.memstats()['HeapObjects']} objects, {rt.memstats()['HeapIdle']} bytes idle")
assert rt.audit() == []
