"""Go's constant expressions: parse, evaluate exactly, show the steps.

An expression is parsed once into a tree of nodes that know where they are in
the text. Evaluation is exact and follows the language: untyped constants have
no size, typed constants must fit theirs, mixed types are an error, integer
division truncates toward zero. What the compiler refuses is an ExprError with
the column and words close to the compiler's own.

Names come from a Scope, which also knows the word size and may know structs
for `unsafe.Sizeof(T{})`. A scope may hand out variables as well as constants:
arithmetic that a variable takes part in wraps at its type's size, as it does
in a running program. That is how the layout formulas of mallocinit are
written in the same notation as the constants.

    >>> evaluate("1<<(8*4) - 1", Scope(ptr_size=4)).value
    4294967295
"""

from __future__ import annotations

from archcalc.goexpr.evaluation import assign, evaluate, steps
from archcalc.goexpr.mentions import composites, functions, names, walk
from archcalc.goexpr.parser import Token, parse, tokens
from archcalc.goexpr.scope import Function, Scope, Sized, Within
from archcalc.goexpr.values import ConstantType, ExprError, Scalar, Value, basic_types, quote, untyped

__all__ = [
    "ConstantType", "ExprError", "Function", "Scalar", "Scope", "Sized", "Token", "Value", "Within",
    "assign", "basic_types", "composites", "evaluate", "functions", "names", "parse", "quote", "steps",
    "tokens", "untyped", "walk",
]  # fmt: skip
