"""malloc_many: many allocations at once, the same addresses and machine as one by one.

What does not depend on how spans come is in `allocator.common.bulk`; here is what does.

- `many`: what a call means to this machine
- `batch`: the order of events, and where everybody stands afterwards; `places` are what objects come from
- `row`: fresh spans, one after the other, with what each needs of others; `moments` tells when
- `full_spans`: what is known of spans that are full, and whose records nobody has asked for
- `object_types`: what spans' bits and headers hold
"""
