"""Answers as plain results: why a machine dies, what its address space is made of, where comments drift."""
