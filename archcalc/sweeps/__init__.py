"""Sweeps: many what-ifs, each a machine of its own, into one table of figures."""
