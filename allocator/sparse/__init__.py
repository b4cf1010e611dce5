"""The machine of Go 1.22 to 1.27: a sparse heap of arenas, a page allocator over bits and summaries."""
