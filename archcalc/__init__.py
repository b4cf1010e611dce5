"""Layout calculator and verifier for the memory allocator of Go's runtime."""
