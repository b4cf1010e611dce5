"""Layout calculator and verifier for the memory allocator of Go's runtime."""

__version__ = "0.1.0"
