"""Replaying recordings of version 2: the machine of today's runtime is followed step by step."""
