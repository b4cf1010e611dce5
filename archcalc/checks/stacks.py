"""Stack sizes, the orders that are cached, and the guard."""

from __future__ import annotations

from archcalc.calculator.figures import Figures
from archcalc.checks import Problem, Problems, check, differs, is_power_of_two, number
from archcalc.reading.words import counted
from archcalc.results.findings import Severity


@check("stacks.fixed-stack", "The smallest stack is a power of two that holds what it must")
def fixed_stack(figures: Figures) -> Problems:
    """stackalloc dies with "stack size not a power of 2" for anything else, and finds an order by
    halving. The smallest stack, _FixedStack, is _StackMin and the system's share rounded up, and no
    more than that.
    """
    fixed = number(figures, "_FixedStack")
    least = number(figures, "_StackMin") + number(figures, "_StackSystem")
    if not is_power_of_two(fixed) or not least <= fixed < 2 * least:
        yield Problem(
            f"_FixedStack is {fixed}; {1 << (least - 1).bit_length()} is the power of two that holds {least}",
            "_FixedStack",
            data={"_FixedStack": fixed, "least": least},
        )


@check("stacks.orders-double", "Each order is twice the one before")
def orders_double(figures: Figures) -> Problems:
    """Order n holds stacks of _FixedStack<<n: stackalloc and stackfree work the order out from the size
    that way.
    """
    fixed = number(figures, "_FixedStack")
    for entry in figures.layout.stack_orders:
        if entry.size != fixed << entry.order:
            yield Problem(
                f"order {entry.order} has stacks of {counted(entry.size, 'byte')}, not "
                f"{fixed << entry.order}",
                f"order {entry.order}",
                data={"size": entry.size},
            )


@check("stacks.cache-holds-order", "The stack cache holds stacks of every order")
def cache_holds_order(figures: Figures) -> Problems:
    """stackcacherefill fills an order up to half of _StackCacheSize, in spans of _StackCacheSize bytes
    that are cut into stacks: the size must be whole pages and a whole number of each order's stacks.
    With an order beyond that, a span would hold no stack at all.
    """
    cache, page = number(figures, "_StackCacheSize"), number(figures, "_PageSize")
    if cache % page:
        yield Problem(
            f"_StackCacheSize is {cache}, not a whole number of pages of {page}",
            "_StackCacheSize",
            data={"_StackCacheSize": cache, "_PageSize": page},
        )
    for entry in figures.layout.stack_orders:
        if cache % entry.size:
            yield Problem(
                f"a span of {counted(cache, 'byte')} is not a whole number of stacks of {entry.size}",
                f"order {entry.order}",
                data={"_StackCacheSize": cache, "size": entry.size},
            )


@check("stacks.largest-order", "The orders reach up to the stack cache and no further")
def largest_order(figures: Figures) -> Problems:
    """_NumStackOrders is chosen port by port so that the largest order is below _StackCacheSize and the
    next would not be (malloc.go's table: 4 orders from 2 KB, 3 from 4 KB, 2 from 8 KB). With fewer
    orders, stacks of a size that could be cached are taken from the heap one by one.
    """
    cache, fixed = number(figures, "_StackCacheSize"), number(figures, "_FixedStack")
    orders = number(figures, "_NumStackOrders")
    if orders < 1:
        yield Problem(f"_NumStackOrders is {orders}", "_NumStackOrders", data={"_NumStackOrders": orders})
    elif fixed << orders < cache:
        yield Problem(
            f"stacks of {counted(fixed << orders, 'byte')} are below _StackCacheSize, {cache}, and have "
            f"no order",
            "_NumStackOrders",
            data={"_NumStackOrders": orders, "_FixedStack": fixed, "_StackCacheSize": cache},
        )


@check("stacks.dead-order", "Every order is asked for", Severity.WARNING)
def dead_order(figures: Figures) -> Problems:
    """stackalloc takes a stack from an order's list only if it is smaller than _StackCacheSize. An order
    that reaches it has lists, in every mcache and in the pool, that stay empty forever. darwin/arm
    has one: its _FixedStack is 4 KB for the system's share, but _NumStackOrders is not reduced there
    as it is on windows and plan9.
    """
    cache = number(figures, "_StackCacheSize")
    for entry in figures.layout.stack_orders:
        if entry.dead:
            yield Problem(
                f"order {entry.order} is never asked for: its stacks have {counted(entry.size, 'byte')},"
                f" and _StackCacheSize is {cache}",
                f"order {entry.order}",
                data={"size": entry.size, "_StackCacheSize": cache},
            )


@check("stacks.guard", "The guard leaves nosplit functions and the system what they need")
def guard(figures: Figures) -> Problems:
    """A function compares the stack pointer with a guard _StackGuard bytes above the low end. Below it
    must be room for a chain of nosplit functions (_StackLimit), for a small frame that did not check
    (_StackSmall) and for what the system's handlers take (_StackSystem).
    """
    whole, system = number(figures, "_StackGuard"), number(figures, "_StackSystem")
    small = number(figures, "_StackSmall")
    multiplier = number(figures, "sys.StackGuardMultiplier")
    yield from differs(
        figures, "_StackGuard", 880 * multiplier + system, f"880 times {multiplier} and {system}"
    )
    yield from differs(figures, "_StackLimit", whole - system - small, f"{whole} less {system} and {small}")
    if number(figures, "_StackLimit") <= 0:
        yield Problem(f"_StackLimit is {number(figures, '_StackLimit')}", "_StackLimit")


@check("stacks.guard-fits", "The smallest stack has room above its guard")
def guard_fits(figures: Figures) -> Problems:
    """What is above the guard is all that ordinary functions may use before the stack is copied to a
    larger one. A guard that reaches the top of the smallest stack would make the first call grow it,
    forever.
    """
    fixed, whole = number(figures, "_FixedStack"), number(figures, "_StackGuard")
    if whole >= fixed:
        yield Problem(
            f"the guard is {counted(whole, 'byte')} above the low end of a stack of {fixed}",
            "_StackGuard",
            data={"_StackGuard": whole, "_FixedStack": fixed},
        )


@check("stacks.preempt-guard", "The guards that stop a goroutine are above every stack")
def preempt_guard(figures: Figures) -> Problems:
    """_StackPreempt and _StackFork are put into a goroutine's guard so that its next check fails: as
    addresses they must be above every stack, differ from each other, and fit a word.
    """
    mask = number(figures, "uintptrMask")
    preempt, fork = number(figures, "_StackPreempt"), number(figures, "_StackFork")
    for name, value in (("_StackPreempt", preempt), ("_StackFork", fork)):
        if not mask - 4096 < value <= mask:
            yield Problem(f"{name} is {value:#x}, and a word reaches {mask:#x}", name, data={name: value})
    if preempt == fork:
        yield Problem(
            f"_StackPreempt and _StackFork are both {preempt:#x}", "_StackFork", data={"value": fork}
        )


@check("stacks.span-alignment", "Stacks in a span are aligned for the stack pointer")
def span_alignment(figures: Figures) -> Problems:
    """A stack's top is where the first frame begins, and some processors fault on a stack pointer that is
    not aligned (arm64: 16). Stacks are cut from page-aligned spans, so every order's size must be a
    multiple of SpAlign.
    """
    align = number(figures, "sys.SpAlign")
    for entry in figures.layout.stack_orders:
        if align <= 0 or entry.size % align:
            yield Problem(
                f"stacks of {counted(entry.size, 'byte')} are not aligned to {align}",
                f"order {entry.order}",
                data={"align": align},
            )
