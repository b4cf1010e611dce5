"""Everything that the tool knows about platforms, side by side: what the one-page report shows.

A port, or a release, that cannot be booted or checked has none of that; its figures are all there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archcalc import checks, generations
from archcalc.calculator import spans
from archcalc.calculator.explanation import Derivation
from archcalc.calculator.figures import Figures
from archcalc.calculator.inventory import Inventory, labels, shown_areas
from archcalc.calculator.plain import Scalar, plain
from archcalc.machines import computer
from archcalc.pictures.atlas import Atlas, survey
from archcalc.pictures.chapters import Chapter, chapters
from archcalc.questions import boot
from archcalc.questions.boot import Boot


@dataclass(frozen=True, slots=True)
class Everything:
    """Most lists have one item for each platform, None for one that cannot boot.

    `findings` are of all platforms that can be checked, `checked` says whether any can. `figures` has
    each figure once, with the platforms that share a derivation.
    """

    platforms: Sequence[Figures]
    names: Sequence[str]
    boots: Sequence[Boot | None]
    atlases: Sequence[Atlas | None]
    checked: bool
    findings: Sequence[Mapping[str, object]]
    figures: Sequence[Mapping[str, object]]
    areas: Sequence[Mapping[str, Scalar] | None]
    sets: Mapping[str, Scalar]

    @property
    def releases(self) -> list[str]:
        """The release of each platform."""
        return [figures.generation.label for figures in self.platforms]

    @property
    def address_bits(self) -> list[int]:
        """The bits of an address that a process can have: a fact of the machine, not of the arena."""
        return [int(figures.profile.machine["user_address_bits"]) for figures in self.platforms]

    @property
    def sizes(self) -> list[Mapping[str, object]]:
        """Class and waste of an object of any size, platform by platform: see `_sizes`."""
        return [_sizes(figures) for figures in self.platforms]

    @property
    def history(self) -> dict[str, list[Chapter]]:
        """How the layout changed, by port, of ports that are there with more than one release."""
        ports: dict[str, list[Figures]] = {}
        for figures in self.platforms:
            ports.setdefault(figures.platform, []).append(figures)
        return {port: chapters(releases) for port, releases in ports.items() if len(releases) > 1}

    @property
    def packages(self) -> dict[str, str]:
        """The packages whose constants are there, by the name of their section."""
        return {own: path for figures in self.platforms for own, path in figures.generation.packages.items()}


def everything(platforms: Sequence[Figures], sets: Mapping[str, Scalar]) -> Everything:
    """Boots and checks what can be, and explains every figure."""
    boots = [
        boot.try_boot(figures, beside_figures=True) if _can(figures, "boot", "map") else None
        for figures in platforms
    ]
    checkable = [figures for figures in platforms if _can(figures, "check")]
    return Everything(
        platforms,
        labels(platforms),
        boots,
        [None if booted is None else _atlas(booted) for booted in boots],
        bool(checkable),
        _findings(checkable),
        _explained(platforms),
        [None if figures.generation.era == "contiguous" else shown_areas(figures) for figures in platforms],
        dict(sets),
    )


def _can(figures: Figures, *commands: str) -> bool:
    """Whether these commands know the generation of some figures."""
    known = generations.said(figures.generation.name, "can").split()
    return all(command in known for command in commands)


def _atlas(booted: Boot) -> Atlas:
    machine = computer.machine_of(booted.figures.profile)
    return survey(booted, machine.low, machine.end, "after boot")


def _findings(platforms: Sequence[Figures]) -> list[Mapping[str, object]]:
    """What the checks find."""
    cases = checks.run(list(checks.registry().values()), platforms)
    return [
        {"id": f.id, "platform": f.platform, "severity": f.severity.value, "message": f.message}
        for case in cases
        for f in case.findings
    ]


def _sizes(figures: Figures) -> Mapping[str, object]:
    """Limits in bytes, and of each span the largest size that lies in it.

    `plain` and `pointers` have rows of (that size, class, element, pages, objects, tail, header, heap bits);
    marks at the end of a span are part of its tail. `pointers` is None where they make no difference.
    """
    plain, pointed = (
        [
            (
                *(size, one.size_class, one.element, one.pages, one.objects),
                *(one.tail + one.inline_marks, one.header, one.heap_bits),
            )
            for size, one in spans.steps(figures, pointers)
        ]
        for pointers in (False, True)
    )
    return {
        "small": spans.small_limit(figures),
        "tiny": int(figures.constants["_TinySize"]),
        "page": figures.size_classes.page_size,
        "mask": int(figures.constants["uintptrMask"]),
        "plain": plain,
        "pointers": pointed if figures.generation.era != "contiguous" else None,
    }


def _explained(platforms: Sequence[Figures]) -> list[Mapping[str, object]]:
    """What each figure is, and how it comes about: derivations that platforms share are there once."""
    found: list[Mapping[str, object]] = []
    for key, entry in Inventory(platforms).entries.items():
        section, name = key
        package = {"constants": "runtime", "structs": "struct"}.get(section, section)
        variants: dict[tuple[object, ...], list[int]] = {}
        for at, figures in enumerate(platforms):
            one = _derived(figures, f"{package}.{name}")
            if one is not None:
                variants.setdefault(one, []).append(at)
        how = [[who, *variant] for variant, who in variants.items()]
        found.append({"s": section, "n": name, "u": entry.unit, "w": entry.what, "how": how})
    return found


def _derived(figures: Figures, name: str) -> Derivation | None:
    """How a figure comes about, in the page's order; values given by --set follow from nothing."""
    one = figures.derivation(name)
    if one is None or name not in figures.engine.sets:
        return one
    given = figures.engine.sets[name]
    formula = f"{plain(given)}, by --set" + (f" instead of {one.formula}" if one.formula else "")
    return one._replace(formula=formula, steps=(), mentions=())
