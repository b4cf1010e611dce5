"""Go's constant expressions against exact arithmetic and against what the compiler says."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archcalc import goexpr
from archcalc.goexpr import ConstantType, ExprError, Function, Scope, Value, evaluate

SCOPE = Scope(8, {"a": 5, "b": -7, "sys.PtrSize": 8, "on": True, "GOOS": "linux", "pi": Fraction(22, 7)})
UINTPTR32 = goexpr.basic_types(4)["uintptr"]


def go_quotient(x: int, y: int) -> int:
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


PYTHON = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "&": lambda x, y: x & y,
    "|": lambda x, y: x | y,
    "^": lambda x, y: x ^ y,
    "&^": lambda x, y: x & ~y,
    "/": go_quotient,
    "%": lambda x, y: x - y * go_quotient(x, y),
}

# An expression in Go beside its exact value; None where Go has no value because of a division by zero.
Case = tuple[str, int | None]


def combined(pair: tuple[Case, str, Case]) -> Case:
    (left, x), operator, (right, y) = pair
    text = f"({left} {operator} {right})"
    if x is None or y is None or (operator in "/%" and y == 0):
        return text, None
    return text, PYTHON[operator](x, y)


def unary(pair: tuple[str, Case]) -> Case:
    operator, (text, x) = pair
    value = None if x is None else {"-": -x, "+": x, "^": ~x}[operator]
    return f"{operator}({text})", value


def shifted(triple: tuple[Case, str, int]) -> Case:
    (text, x), operator, count = triple
    value = None if x is None else (x << count if operator == "<<" else x >> count)
    return f"(({text}) {operator} {count})", value


literals = st.integers(0, 1 << 40).flatmap(
    lambda n: st.sampled_from([(str(n), n), (hex(n), n), (f"0{n:o}", n), (f"0X{n:x}", n)])
)
untyped_cases: st.SearchStrategy[Case] = st.recursive(
    literals,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(sorted(PYTHON)), inner).map(combined),
        st.tuples(st.sampled_from(["-", "+", "^"]), inner).map(unary),
        st.tuples(inner, st.sampled_from(["<<", ">>"]), st.integers(0, 20)).map(shifted),
    ),
    max_leaves=8,
)


@given(untyped_cases)
def test_untyped_integers_are_exact(case: Case) -> None:
    text, expected = case
    if expected is None:
        with pytest.raises(ExprError, match="division by zero"):
            evaluate(text, SCOPE)
    else:
        assert evaluate(text, SCOPE) == goexpr.untyped(expected)


TYPES = sorted(name for name, kind in goexpr.basic_types(8).items() if kind.integer)


@given(st.sampled_from(TYPES), st.sampled_from(sorted(PYTHON)), st.data())
def test_typed_integers_are_exact_or_overflow(name: str, operator: str, data: st.DataObject) -> None:
    kind = goexpr.basic_types(8)[name]
    least, most = kind.bounds
    x = data.draw(st.integers(least, most))
    y = data.draw(st.integers(least, most))
    text = f"{name}({x}) {operator} {name}({y})"
    if operator in "/%" and y == 0:
        with pytest.raises(ExprError, match="division by zero"):
            evaluate(text, SCOPE)
        return
    exact = PYTHON[operator](x, y)
    if least <= exact <= most:
        assert evaluate(text, SCOPE) == Value(exact, kind)
    else:
        with pytest.raises(ExprError, match=f"constant {exact} overflows {kind.name}"):
            evaluate(text, SCOPE)


@given(st.sampled_from(TYPES), st.sampled_from(["+", "-", "*"]), st.data())
def test_variables_wrap(name: str, operator: str, data: st.DataObject) -> None:
    kind = goexpr.basic_types(8)[name]
    least, most = kind.bounds
    x, y = data.draw(st.integers(least, most)), data.draw(st.integers(least, most))
    scope = Scope(8, {"x": Value(x, kind, variable=True), "y": Value(y, kind)})
    value = evaluate(f"x {operator} y", scope)
    assert isinstance(value.value, int)
    assert least <= value.value <= most
    assert (value.value - PYTHON[operator](x, y)) % (1 << kind.bits) == 0
    assert value.variable


fractions = st.fractions(-1000, 1000, max_denominator=64)


@given(fractions, st.sampled_from("+-*/"), fractions)
def test_untyped_floats_are_exact(x: Fraction, operator: str, y: Fraction) -> None:
    scope = Scope(8, {"x": x, "y": y})
    if operator == "/" and y == 0:
        with pytest.raises(ExprError, match="division by zero"):
            evaluate("x / y", scope)
        return
    expected = {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else None}[operator]
    assert evaluate(f"x {operator} y", scope).value == expected


@given(st.integers(-(1 << 70), 1 << 70), st.sampled_from(TYPES))
def test_conversion_keeps_the_value_or_fails(x: int, name: str) -> None:
    kind = goexpr.basic_types(8)[name]
    least, most = kind.bounds
    if least <= x <= most:
        assert evaluate(f"{name}({x})", SCOPE) == Value(x, kind)
    else:
        with pytest.raises(ExprError, match="overflows"):
            evaluate(f"{name}({x})", SCOPE)


@given(st.integers(0, 1 << 66), st.integers(0, 70))
def test_a_typed_shift_overflows_as_the_value_does(x: int, count: int) -> None:
    kind = goexpr.basic_types(8)["uint64"]
    if x >= 1 << 64:
        return
    if x << count < 1 << 64:
        assert evaluate(f"uint64({x}) << {count}", SCOPE) == Value(x << count, kind)
    else:
        with pytest.raises(ExprError, match="overflows uint64"):
            evaluate(f"uint64({x}) << {count}", SCOPE)


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        # << and / bind alike, from the left; so do & and *, above | and +.
        ("1 << (^uintptr(0) >> 63) / 2", 1, "untyped int"),
        ("1<<3 + 1", 9, "untyped int"),
        ("1 + 2&3 | 4", 7, "untyped int"),
        ("7 &^ 5 &^ 2", 0, "untyped int"),
        ("-7 / 2", -3, "untyped int"),
        ("-7 % 3", -1, "untyped int"),
        ("7 % -3", 1, "untyped int"),
        ("^0", -1, "untyped int"),
        ("^uint8(5)", 250, "uint8"),
        ("^int8(5)", -6, "int8"),
        ("-5 >> 1", -3, "untyped int"),
        ("1.0 << 3", 8, "untyped int"),
        ("uintptr(1<<39 - 1)", (1 << 39) - 1, "uintptr"),
        ("uint8(255) & 0x0f", 15, "uint8"),
        ("'a' + 1", 98, "untyped rune"),
        (r"'\n'", 10, "untyped rune"),
        (r"'\x41' + '\101' + '\u0041'", 195, "untyped rune"),
        ("'a' * 1.5", Fraction(291, 2), "untyped float"),
        ("7 / 2", 3, "untyped int"),
        ("7 / 2.0", Fraction(7, 2), "untyped float"),
        ("7 / float64(2)", Fraction(7, 2), "float64"),
        ("int(7.0)", 7, "int"),
        ("float32(0.1)", Fraction(13421773, 1 << 27), "float32"),
        ("1e3", 1000, "untyped float"),
        (".5e1", 5, "untyped float"),
        ("0b101 | 0o17 | 1_000", 1007, "untyped int"),
        ("3 == 3.0 && !false", True, "untyped bool"),
        ('GOOS == "linux" || 1/a == 0', True, "untyped bool"),
        ('"ab" < "b"', True, "untyped bool"),
        ('"a" + `b\\n`', "ab\\n", "untyped string"),
        ('len("h\\u00e9")', 3, "int"),
        ("string(0x4e16)", "世", "string"),
        ("string(-1)", "\ufffd", "string"),
        ("unsafe.Sizeof(uintptr(0))", 8, "uintptr"),
        ("unsafe.Sizeof(int32(1)) + unsafe.Alignof('a')", 8, "uintptr"),
        ("sys.PtrSize * (8 / 2) // per byte", 32, "untyped int"),
        ("/* two */ 2 -\n1", 1, "untyped int"),
        ("(uintptr)(a)", 5, "uintptr"),
        ("-b", 7, "untyped int"),
        ("+a", 5, "untyped int"),
        ("true != on", False, "untyped bool"),
    ],
)
def test_values_and_types(text: str, value: object, kind: str) -> None:
    result = evaluate(text, SCOPE)
    assert (result.value, result.type.name) == (value, kind)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("uint8(256)", 7, "constant 256 overflows uint8"),
        ("1 + uint8(255) + 1", 3, "constant 256 overflows uint8"),
        ("-uint(1)", 1, "constant -1 overflows uint"),
        ("uintptr(-1)", 9, "constant -1 overflows uintptr"),
        ("int8(1) << 7", 9, "constant 128 overflows int8"),
        ("1 << 600", 3, "constant overflow: 1 << 600 needs more than 512 bits"),
        ("1 << 2000", 6, "shift count 2000 too large"),
        ("1 << -1", 6, "invalid negative shift count -1"),
        ("1 << int(2)", 6, "shift count type int, must be unsigned integer"),
        ("1 << 1.5", 6, "constant 1.5 truncated to integer"),
        ('1 << "a"', 6, "shift count type untyped string, must be unsigned integer"),
        ("1.5 << 2", 5, "invalid operation: shift of 1.5, which is not an integer"),
        ("float64(1) << 2", 12, "invalid operation: shift of type float64"),
        ("1 / 0", 5, "division by zero"),
        ("1 % (2 - 2)", 5, "division by zero"),
        ("1.0 / 0", 7, "division by zero"),
        ("uint8(1) + uint16(1)", 10,
         "invalid operation: uint8(1) + uint16(1) (mismatched types uint8 and uint16)"),
        ('1 + "a"', 3, 'invalid operation: 1 + "a" (mismatched types untyped int and untyped string)'),
        ("uint8(1) + 1.5", 12, "constant 1.5 truncated to integer"),
        ("uint8(1) + 300", 12, "constant 300 overflows uint8"),
        ("int(1.5)", 5, "constant 1.5 truncated to integer"),
        ('int("1")', 5, 'cannot convert "1" (untyped string) to type int'),
        ("5.0 % 2", 5, "invalid operation: operator % not defined on untyped float"),
        ('"a" - "b"', 5, "invalid operation: operator - not defined on untyped string"),
        ("true + false", 6, "invalid operation: operator + not defined on untyped bool"),
        ("true < false", 6, "invalid operation: operator < not defined on untyped bool"),
        ("1 && 2", 3, "invalid operation: operator && not defined on untyped int"),
        ("!1", 1, "operator ! not defined on 1 (untyped int)"),
        ("^1.5", 1, "operator ^ not defined on 1.5 (untyped float)"),
        ('-"a"', 1, 'operator - not defined on "a" (untyped string)'),
        ("float32(1e39)", 9, "constant overflows float32"),
        ("float64(1e400)", 9, "constant overflows float64"),
        ("nowhere + 1", 1, "undefined: nowhere"),
        ("1 + f(2)", 5, "undefined: f"),
        ("uint8", 1, "type uint8 is not an expression"),
        ("uint8(1, 2)", 1, "uint8 takes one argument, not 2"),
        ("iota", 1, "iota outside a constant declaration"),
        ("mspan{}", 1, "mspan{} is not a constant"),
        ("unsafe.Sizeof(mspan{})", 15, "undefined: mspan"),
        ("len(5)", 5, "invalid argument 5 for len"),
        ("1 +", 4, "the expression ends; expected a constant, a name or ("),
        ("", 1, "the expression ends; expected a constant, a name or ("),
        ("(1", 3, "the expression ends; expected )"),
        ("1 2", 3, "found 2; expected an operator or the end"),
        ("1 ~ 2", 3, "found ~; expected an operator or the end"),
        ("08", 1, "malformed constant: 08"),
        ("2i", 1, "complex constants are not supported"),
        ("'ab'", 1, "more than one character in rune literal 'ab'"),
        (r"'\q'", 1, r"unknown escape \q"),
        ("1e99999", 1, "malformed constant: exponent of 1e99999 out of range"),
        ("0x" + "f" * 200, 1, "constant needs more than 512 bits"),
    ],
)  # fmt: skip
def test_what_the_compiler_refuses(text: str, column: int, message: str) -> None:
    with pytest.raises(ExprError) as caught:
        evaluate(text, SCOPE)
    assert (caught.value.column, caught.value.message) == (column, message)


def test_a_fault_is_pointed_at() -> None:
    with pytest.raises(ExprError) as caught:
        evaluate("2 * uint8(256)", SCOPE)
    assert caught.value.pointed() == "2 * uint8(256)\n          ^ constant 256 overflows uint8"
    assert str(caught.value) == "column 11: constant 256 overflows uint8"


def test_the_word_size_is_the_platform_s() -> None:
    assert evaluate("4 << (^uintptr(0) >> 63)", Scope(8)).value == 8
    assert evaluate("4 << (^uintptr(0) >> 63)", Scope(4)).value == 4
    with pytest.raises(ExprError, match="constant 4294967296 overflows uintptr"):
        evaluate("uintptr(1<<32)", Scope(4))


def test_iota_is_the_place_in_the_declaration() -> None:
    assert evaluate("1 << (10 * iota)", SCOPE, iota=2).value == 1 << 20


def test_newer_go_takes_signed_shift_counts() -> None:
    assert evaluate("1 << int(2)", Scope(8, signed_shift_counts=True)).value == 4
    with pytest.raises(ExprError, match="negative shift count"):
        evaluate("1 << int(-2)", Scope(8, signed_shift_counts=True))


def test_a_variable_shifted_beyond_its_size_is_zero() -> None:
    scope = Scope(4, {"i": Value(3, UINTPTR32, True), "n": Value(4000, UINTPTR32, True)})
    assert evaluate("i << 40", scope) == Value(0, UINTPTR32, True)
    assert evaluate("i << n", scope).value == 0
    assert evaluate("i >> n", scope).value == 0
    assert evaluate("uint8(i << 8 | 5)", scope) == Value(5, goexpr.basic_types(4)["uint8"], True)
    with pytest.raises(ExprError, match="shift of an untyped constant by a variable"):
        evaluate("1 << n", scope)


class Rounding(Scope):
    """A scope with runtime.round."""

    def function(self, name: str) -> Function | None:
        return Function(("n", "a"), "(n + a - 1) &^ (a - 1)") if name == "round" else None


def test_functions_compute_with_variables() -> None:
    assert evaluate("round(5, 8)", Rounding(4)) == Value(8, UINTPTR32, True)
    # 2^32 - 1 rounded up wraps to zero, as in the runtime.
    assert evaluate("round(1<<32 - 1, 1<<13)", Rounding(4)).value == 0
    with pytest.raises(ExprError, match="round takes 2 arguments, not 1"):
        evaluate("round(5)", Rounding(4))
    with pytest.raises(ExprError, match="constant 4294967296 overflows uintptr"):
        evaluate("round(1<<32, 8)", Rounding(4))


def test_assign_gives_the_declared_type() -> None:
    uint8 = goexpr.basic_types(8)["uint8"]
    state = uint8._replace(name="mSpanState")
    assert goexpr.assign(evaluate("3", SCOPE), state, "3") == Value(3, state)
    with pytest.raises(ExprError, match="constant 300 overflows mSpanState"):
        goexpr.assign(evaluate("300", SCOPE), state, "300")
    with pytest.raises(ExprError, match=r"cannot use uint8\(3\) \(uint8\) as mSpanState value"):
        goexpr.assign(evaluate("uint8(3)", SCOPE), state, "uint8(3)")


def test_steps_lead_from_the_names_to_the_value() -> None:
    assert goexpr.steps("(a*sys.PtrSize)*35 + (1-a)*b", SCOPE) == (
        "(5*8)*35 + (1-5)*(-7)",
        "40*35 + (-4)*(-7)",
        "1400 + 28",
        "1428",
    )
    assert goexpr.steps("uintptr(1<<a - 1)", SCOPE) == (
        "uintptr(1<<5 - 1)",
        "uintptr(32 - 1)",
        "uintptr(31)",
        "31",
    )
    assert goexpr.steps("4 << (^uintptr(0) >> 63)", SCOPE) == (
        "4 << (18446744073709551615 >> 63)",
        "4 << 1",
        "8",
    )
    assert goexpr.steps("8192", SCOPE) == ()
    assert goexpr.steps("0x2000", SCOPE) == ("8192",)


@given(untyped_cases)
def test_every_step_has_the_value_of_the_whole(case: Case) -> None:
    text, expected = case
    if expected is None:
        return
    for step in goexpr.steps(text, SCOPE):
        assert evaluate(step, SCOPE).value == expected


def test_what_an_expression_mentions() -> None:
    text = "uintptr(a) + unsafe.Sizeof(hchan{}) * sys.PtrSize &^ a + len(table)"
    assert goexpr.names(text) == ("a", "sys.PtrSize", "table")
    assert goexpr.functions(text) == ("uintptr", "unsafe.Sizeof", "len")
    assert goexpr.composites(text) == ("hchan",)


@pytest.mark.parametrize("text", ["(" * 5000, "-" * 5000 + "1", "1" + "+1" * 5000, "f(" * 5000])
def test_absurd_nesting_is_an_error(text: str) -> None:
    with pytest.raises(ExprError, match="nested too deeply"):
        evaluate(text, SCOPE)


@settings(max_examples=300)
@given(st.text(max_size=40) | st.text("0123456789abx.+-*/%&|^<>=!() '\"\\_`eE{},", max_size=30))
def test_any_text_has_a_value_or_a_located_error(text: str) -> None:
    try:
        value = evaluate(text, SCOPE)
    except ExprError as error:
        assert 1 <= error.column <= len(text) + 1
        assert error.pointed()
    else:
        assert isinstance(value.type, ConstantType)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "true"), (-3, "-3"), ('a"\n', '"a\\"\\n"'), (Fraction(7, 2), "3.5"), (Fraction(4), "4")],
)
def test_values_are_written_as_go_does(value: goexpr.Scalar, shown: str) -> None:
    assert str(goexpr.untyped(value)) == shown
