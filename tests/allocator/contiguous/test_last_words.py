"""The numbers in last words, as Go's print shows them."""

from __future__ import annotations

from archcalc.boot import boot


def test_a_request_past_half_of_the_addresses_is_printed_with_a_minus_sign() -> None:
    # golang/go#11789 had `cannot allocate -8410442019078995968-byte block`.
    rt = boot("linux/amd64")
    assert not rt.heap._grow(((1 << 64) - 8410442019078995968) >> 13)
    line = "runtime: out of memory: cannot allocate -8410442019078995968-byte block"
    assert rt.printed[-1].startswith(line)
