"""Calls are put into Go's files where names and anchors say, and nowhere else."""

from __future__ import annotations

import pytest

from archcalc.reading.errors import UsageFault
from archcalc.recorder.edits import BRACKETS, Anchor, Wrap, apply, functions

FILE = """package runtime

//go:linkname grab other.grab
//go:systemstack
func (h *heap) grab(n, m uintptr, stop func() bool, names []string) (uintptr, bool) {
	h.left -= n
	return n, true
}

func one() int { return 1 }

func drop(x uintptr) {
	left += x
}
"""


def edited(*edits: Wrap | Anchor, text: str = FILE) -> str:
    return apply({"x.go": text}, "go1.99", list(edits))["x.go"]


def test_a_wrapper_calls_the_function_under_its_new_name_with_all_it_was_given() -> None:
    text = edited(Wrap("x.go", "(*heap).grab", "before()", "after(r0)"))
    assert (
        "func (h *heap) grab(n, m uintptr, stop func() bool, names []string) (uintptr, bool) {\n"
        "\tbefore()\n\tr0, r1 := h.archcalc_grab(n, m, stop, names)\n\tafter(r0)\n\treturn r0, r1\n}\n"
    ) in text
    # The inner function must run where the outer does, but the linker's name is the outer's.
    assert (
        "//go:systemstack\nfunc (h *heap) archcalc_grab(n, m uintptr, stop func() bool, names []string)"
        in text
    )
    assert text.count("//go:linkname") == 1


def test_a_wrapper_without_results_just_calls() -> None:
    text = edited(Wrap("x.go", "drop", after="told(x)"))
    assert (
        "func drop(x uintptr) {\n\tarchcalc_drop(x)\n\ttold(x)\n}\n\nfunc archcalc_drop(x uintptr) {" in text
    )


@pytest.mark.parametrize(
    ("where", "found"),
    [("before", "HERE\tleft += x"), ("after", "\tleft += xHERE"), ("instead", "{\nHERE\n}")],
)
def test_an_anchor_takes_a_call_before_after_or_instead(where: str, found: str) -> None:
    assert found in edited(Anchor("x.go", "drop", "\tleft += x", where, "HERE"))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            Wrap("x.go", "gone"),
            "gone of go1.99 (runtime/x.go) is not as the recorder expects it: it is there 0 times",
        ),
        (Anchor("x.go", "drop", "right", "after", ""), "drop of go1.99 (runtime/x.go)"),
        (Anchor("x.go", "(*heap).grab", "n", "after", ""), "is there 10 times, expected once"),
    ],
)
def test_what_does_not_match_once_names_the_function_and_the_release(edit: Wrap | Anchor, words: str) -> None:
    with pytest.raises(UsageFault) as caught:
        edited(edit)
    assert words in str(caught.value)


def test_functions_are_found_by_name_and_receiver() -> None:
    assert [name for name, _ in functions(FILE)] == ["(*heap).grab", "drop"]


def test_brackets_have_names_of_their_own() -> None:
    assert len(set(BRACKETS.values())) == len(BRACKETS)
