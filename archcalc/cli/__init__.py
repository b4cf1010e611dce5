"""The command line: one file a command; each parses, calls and returns a result.

To add a command `spin`:

1. Write `archcalc/cli/spin.py` with one function::

       def command(platforms: Platforms = None, profiles: Profiles = None, *, speed: ... = 1) -> Spun:
           \"\"\"Spin a machine and say what fell off.

           The whole docstring is the command's help; its first line is in `archcalc --help`.
           \"\"\"

   Its parameters are its own options, typed with the names of `options.py` or with `Annotated[…]`
   of its own; values that are not plain text take a `parser=` (see `quantities.py`). `--format`,
   `--output` and `--force` come by themselves when it returns a `Result`; `--quiet`, `--verbose`,
   `--color` and `--debug` always do.
2. Return a subclass of `archcalc.results.result.Result`, or of `Judged` where something holds or fails
   (that adds github, junit, sarif and exit code 1). Print nothing: `session.note(…)` and
   `session.progress(…)` write to stderr, and only where that is wanted.
3. List it in `COMMANDS` of `app.py` (name, module, first line of the docstring). A command of a
   group has its file in a folder of the group's name (`profile/new.py`).

A user's mistake is a `UsageFault`, from wherever it is found; nothing catches it but `main.py`,
which is the one place where faults become exit codes.
"""
