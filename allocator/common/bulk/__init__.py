"""Many allocations at once: what does not depend on how a machine gets its spans.

- `arguments`: what the arguments of malloc_many mean
- `codes`: from a size and a type to the place that an object comes from
- `tiny_runs`: the tiny allocator run over many objects
- `batch_layout`: which objects come from which place, and the way back, a `block` at a time; `compiled` does
  it with compiled code, `engine` decides which of them does
- `routine`, `routines`: functions of which there is machine code, made by `jit`, kept by `machine_code`
- `supply`: the addresses that a place has to give; `addresses`: from there to the objects
- `aside`: compiled code that runs beside: the addresses of this batch, the layout of the next one
- `batches`: a call's objects, a batch at a time
"""
