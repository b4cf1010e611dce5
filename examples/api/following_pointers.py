"""Build a list in the simulated heap and let the collector find what is alive from its root."""

from itertools import pairwise

from allocator.contiguous.heap_bitmap import Type
from archcalc.boot import boot

rt = boot("linux/arm")
node = Type.of_words("node", "p.", ptr_size=4)  # a pointer to the next node, and a number
nodes = [rt.malloc(node.size, node) for _ in range(1000)]
for here, after in pairwise(nodes):
    rt.store(here, after)

rt.store(nodes[499], 0)  # cut the list in the middle
rt.collect(roots=[nodes[0]])
print(f"{rt.memstats()['HeapObjects']} of {len(nodes)} nodes are alive")
assert rt.memstats()["HeapObjects"] == 500
