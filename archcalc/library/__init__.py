"""Questions, each with its result: what the command line and `archcalc.api` are both built on.

A file a question: what it asks, a class of result with `document()`, `view()` and its kin, a function that
makes one. Words for platforms and releases are read by `targets.py`. Nothing here prints, parses a command
line, or knows which of the two is asking.
"""
