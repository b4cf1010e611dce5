"""malloc_many: many allocations at once, with the addresses and the machine of one at a time.

What does not depend on how spans come is in `allocator.common.bulk`; here is what does.

- `many`: what a call means to this machine
- `batch`: the order of events, and the state afterwards; `places` are what objects come from
- `row`: fresh spans, one after the other, with what each needs of others; `moments` tells when
- `full_spans`: what is known of spans that were filled, and whose records were not asked for
- `object_types`: what spans' bits and headers hold
"""
