"""Operating-system memory: one policy a system over one simulated address space."""
