"""Seeded workloads: what drives a machine when no recording does. Equal seeds give equal runs."""
