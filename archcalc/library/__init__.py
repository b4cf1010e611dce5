"""Questions, each with its result: what the command line and `archcalc.api` are both built on.

One file for each question: a class of result with `document()`, `view()` and its kin, and a function that
makes one. Words for platforms and releases are read by `targets.py`. Nothing here prints, parses a command
line, or knows which of the two is asking.
"""
