"""Which ports a Go file belongs to: names of systems and architectures, constraints as conditions of a table.

A table writes a file's constraint as Go does, `build linux && !arm64`; here it becomes an
expression over the platform's facts, which the calculator evaluates as it does any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

KNOWN_OS = frozenset({
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl",
    "netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows", "zos",
})  # fmt: skip
KNOWN_ARCH = frozenset({
    "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle", "mips64",
    "mips64le", "mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x",
    "sparc", "sparc64", "wasm",
})  # fmt: skip
UNIX = KNOWN_OS - {"js", "nacl", "plan9", "wasip1", "windows", "zos"}
IMPLIED = {"android": "linux", "illumos": "solaris", "ios": "darwin"}
"""Systems whose files include those of another."""

_WORD = re.compile(r"[\w.]+")


@lru_cache(maxsize=1024)
def condition(constraint: str, experiments: Callable[[str], str | None] = lambda _: None) -> str:
    """A build constraint as a Go expression over facts of the platform.

    `experiments` gives the constant of package goexperiment for a tag's lower-case name, or None.
    Tags that neither the platform nor an experiment decides are off, except the compiler's own.
    """

    def tag(match: re.Match[str]) -> str:
        name = match[0]
        if name in KNOWN_OS:
            own = [f'fact.goos == "{one}"' for one in (name, *(k for k, v in IMPLIED.items() if v == name))]
            return own[0] if len(own) == 1 else f"({' || '.join(own)})"
        if name in KNOWN_ARCH:
            return f'fact.goarch == "{name}"'
        if name == "unix":
            others = sorted(KNOWN_OS - UNIX)
            return "(" + " && ".join(f'fact.goos != "{one}"' for one in others) + ")"
        if name.startswith("goexperiment."):
            return experiments(name.partition(".")[2]) or "false"
        return "true" if name == "gc" or re.fullmatch(r"go1\.\d+", name) else "false"

    return re.sub(r"!(fact\.\w+ == \"\w+\")", r"!(\1)", _WORD.sub(tag, constraint))
