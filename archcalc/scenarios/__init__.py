"""Scenarios: a machine, what is done to it, and the expected outcome, as a file.

`fields` declares what a file may say, `load` reads it, `run` carries it out and
`judge` compares the results with what was expected. A scenario is a restated
incident: it stays true as long as every expectation in it does.
"""
