"""What the ids of faults mean, for `explain`.

An id is the kind of file ("profile", "scenario", "config") and what is wrong
with it. Mistakes that any file can have are explained under the second part alone.
"""

from __future__ import annotations

_ANY_FILE = {
    "alias": "An alias (*name) comes before its anchor (&name), or inside what it names.",
    "documents": "A file is one YAML document; a second one begins after `---` or `...`.",
    "duplicate-key": "A mapping has a key twice. YAML readers differ over which counts, so neither does.",
    "encoding": "Files are UTF-8 without a byte order mark, and every character in them can be printed.",
    "key": "A key is a name; lists and mappings as keys are not read.",
    "missing-key": "A required key is missing from the file and from what it inherits.",
    "not-mapping": "A file is a mapping of keys to values.",
    "not-power-of-two": "Page sizes and alignments are powers of two: runtime and kernel mask with them.",
    "out-of-range": "The value has the right type but is not one of those allowed.",
    "syntax": "The file is not YAML; nothing after the place is read.",
    "tag": "Tags (!name) are not read: they could only say what the key says already, or run code.",
    "too-big": "A file of facts has a few KB; one of more than 1 MB, or one that unfolds to more than 100000 "
    "values, is a mistake or an attack.",
    "too-deep": "No valid file is nested deeper than a few levels; reading stops beyond 32.",
    "unknown-key": "There is no such key at this place; a misspelt one would otherwise be silently ignored.",
    "unreadable": "The file cannot be opened or read.",
    "wrong-type": "The value has the wrong type for its key. YAML 1.1 and 1.2 read words such as `yes` and "
    "numbers such as 010 or 1:30 differently, so these have no certain type.",
}
_OTHERS = {
    "profile-arch-family": "No release of Go declares the architecture family that the profile gives.",
    "profile-address-bits": "User addresses have more bits than a pointer.",
    "profile-address-range": "An address lies outside those that can be mapped, or a range has no addresses.",
    "profile-arch-contradiction": "The profile contradicts what Go says about its architecture: word and "
    "register size, byte order, family, instruction, frame.",
    "profile-inherit-loop": "A file inherits from itself, directly or through others.",
    "profile-inherit-too-long": "A chain of files that inherit from one another is longer than 16.",
    "profile-name-taken": "Two profiles given together have the same name, so neither can be asked for.",
    "profile-page-size": "The port's kernels have no physical page of this size, or it is larger than the "
    "alignment of reservations.",
    "profile-port": "The release takes its ports from its own files, and has no port of that name. Go of "
    "January 2017 (7aefdfded) accepts ports of your own.",
    "profile-segment-alignment": "The linker aligns segments to less than a physical page, so that two of "
    "them would share a page and the kernel could not load the program (golang/go#18408).",
    "profile-unknown-parent": "What `inherit` names is neither a file of the package nor the path of a .yaml "
    "file.",
    "profile-word-size": "A register, or the alignment of a 64-bit integer, is smaller than a pointer.",
    "platform-unknown": "There is no platform of that name, and no platform that matches the pattern.",
    "usage": "The command line, or a value on it, is wrong.",
}


def ids() -> list[str]:
    """Every id of a fault in a profile or on the command line, in order."""
    return sorted([*_OTHERS, *(f"profile-{what}" for what in _ANY_FILE)])


def meaning(id: str) -> str:
    """What an id stands for, or nothing where there is no such id."""
    return _OTHERS.get(id) or _ANY_FILE.get(id.partition("-")[2], "")
