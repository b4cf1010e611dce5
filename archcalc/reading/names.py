"""Did you mean …: the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, names: Iterable[str]) -> str:
    """The best match among the names, quoted for a message; "" when nothing is near."""
    import difflib  # only needed for an error

    names = list(names)
    folded = {name.casefold(): name for name in names}
    if word.casefold() in folded:
        return repr(folded[word.casefold()])
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if near:
        return repr(folded[near[0]])
    inside = [name for name in names if len(word) > 2 and word.casefold() in name.casefold()]
    return repr(min(inside, key=len)) if inside else ""
