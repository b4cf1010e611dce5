"""Recordings of the real runtime's allocator: reading, replaying, writing and converting them."""
