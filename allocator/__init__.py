"""A simulated Go memory allocator, booted from one frozen Config and an operating system."""
