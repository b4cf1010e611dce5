"""Which files belong to a port: names and constraints, as go/build judges them."""

from __future__ import annotations

import pytest

from archcalc.goverify import buildtags


@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("malloc.go", {"linux/amd64", "android/arm", "plan9/386"}),
        ("mem_linux.go", {"linux/amd64", "android/arm"}),
        ("zgoarch_arm.go", {"android/arm"}),
        ("defs_linux_arm.go", {"android/arm"}),
        ("defs_linux_mips64x.go", {"linux/amd64", "android/arm", "plan9/386"}),
        ("linux.go", {"linux/amd64", "android/arm", "plan9/386"}),
        ("rt0_plan9_386.go", {"plan9/386"}),
        ("os_windows.go", set()),
    ],
)
def test_a_file_name_says_whose_it_is(name: str, ports: set[str]) -> None:
    constraint = buildtags.of_name(name)
    asked = ("linux/amd64", "android/arm", "plan9/386")
    assert {port for port in asked if constraint(buildtags.holds(*port.split("/")))} == ports


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("package runtime", {"linux/amd64", "android/arm", "linux/mips64le"}),
        ("// +build !android\n\npackage sys", {"linux/amd64", "linux/mips64le"}),
        ("// +build linux,amd64 mips64 mips64le\n\npackage x", {"linux/amd64", "linux/mips64le"}),
        ("// +build linux\n// +build !amd64\n\npackage x", {"android/arm", "linux/mips64le"}),
        ("/* a block */\n// words\n\n// +build arm\n\npackage x", {"android/arm"}),
        ("// +build ignore\n\npackage main", set()),
        ("// +build race\n\npackage x", set()),
        ("// +build gc,go1.8\n\npackage x", {"linux/amd64", "android/arm", "linux/mips64le"}),
        ("//go:build linux && (amd64 || !arm)\n\npackage x", {"linux/amd64", "linux/mips64le"}),
        ("//go:build unix && !android\n// +build ignore\n\npackage x", {"linux/amd64", "linux/mips64le"}),
        ("package x\n\n// +build arm\n", {"linux/amd64", "android/arm", "linux/mips64le"}),
    ],
)
def test_a_constraint_before_the_package_clause_says_whose_it_is(text: str, ports: set[str]) -> None:
    constraint = buildtags.of_text(text.encode())
    asked = ("linux/amd64", "android/arm", "linux/mips64le")
    assert {port for port in asked if constraint(buildtags.holds(*port.split("/")))} == ports


@pytest.mark.parametrize("text", ["linux &&", "(linux", "linux)", "&& x", "a b", "!", "a | b", "(" * 5000])
def test_a_broken_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no build constraint"):
        buildtags.of_text(f"//go:build {text}\n\npackage x".encode())
