"""Every fault that a file can have is explained, and nothing is explained that cannot happen."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from archcalc.reading import faults

PACKAGE = Path(__file__).parents[3] / "archcalc"
READERS = ("reading/strictyaml.py", "reading/fields.py", "profiles/profile.py", "profiles/platforms.py")


def raised() -> set[str]:
    """The ids in the readers' code: what is given to `fault` after the place, and ids written whole."""
    found = set()
    for name in READERS:
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall("^(?:profile|platform)-[a-z-]+$", node.value))
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "fault":
                what = node.args[1] if len(node.args) > 1 else None
                if isinstance(what, ast.Constant) and isinstance(what.value, str):
                    found.add(f"profile-{what.value}")
    return found


def test_every_id_is_explained_and_every_explained_id_is_raised() -> None:
    assert raised() == set(faults.ids()) - {"usage"}


def test_what_any_file_can_have_wrong_is_explained_for_each_kind() -> None:
    assert faults.meaning("scenario-duplicate-key") == faults.meaning("profile-duplicate-key") != ""
    assert faults.meaning("profile-segment-alignment").startswith("The linker aligns segments")
    assert faults.meaning("profile-unheard-of") == ""
    assert faults.meaning("nonsense") == ""
