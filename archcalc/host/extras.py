"""Optional parts: imported when asked for, and named where they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from archcalc.reading.errors import Fault, UsageFault

# What each optional module comes with. pandas is the notebook's own affair.
EXTRAS = {
    "numpy": "bulk",
    "pyarrow": "bulk",
    "distributed": "sweep",
    "lief": "verify",
    "elftools": "verify",
    "tree_sitter": "verify",
    "tree_sitter_go": "verify",
    "matplotlib": "html",
    "z3": "prove",
}


def needed(module: str, purpose: str) -> ModuleType:
    """The module. Raises UsageFault that says which extra is missing, and what it is wanted for."""
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        package = module.partition(".")[0]
        if missing.name is None or missing.name.partition(".")[0] != package:
            raise
        extra = EXTRAS.get(package)
        source = f"pip install 'archcalc[{extra}]'" if extra else f"pip install {package}"
        found = f"{purpose} needs {package}, which is not installed"
        expected = f"the extra `{extra}`: {source}" if extra else source
        raise UsageFault(Fault(found, expected, id="extra")) from None
