"""The tiny allocator over many objects: which share a block, and their places in it.

It is an automaton whose state is tiny_offset. Its state does not depend on the start after a few objects,
so pieces of the sequence are run side by side, each from a guess a little ahead of its beginning;
a piece that turns out not to join the one before it is run again until both agree.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from allocator.common.tiny import place

Ints = np.ndarray[Any, np.dtype[Any]]

NO_BLOCK = 0  # the state without a block; with one, the offset is 1 to 16
STATES = 17
PACKED = 16  # states, where a full block and none are the same
# Outcomes besides the offset in the open block: a new block, which becomes the open one or not.
NEW_CURRENT, NEW_ASIDE = 16, 17
PIECE = 256
WARM_UP = 64


def tables(words_of_12: bool = False) -> tuple[bytes, bytes]:
    """The state after an object and its outcome, by (size - 1) * STATES + state.

    words_of_12: 12 bytes are aligned to 8, as later releases need it on 32-bit machines.
    """
    after = bytearray(256)
    outcome = bytearray(256)
    for size in range(1, 16):
        aligned_as = 8 if size == 12 and words_of_12 else size
        for state in range(STATES):
            off = place(state, aligned_as)
            if state != NO_BLOCK and off + size <= 16:
                result, then = off, off + size
            elif state == NO_BLOCK or size < state:
                result, then = NEW_CURRENT, size
            else:
                result, then = NEW_ASIDE, state
            after[(size - 1) * STATES + state] = then
            outcome[(size - 1) * STATES + state] = result
    return bytes(after), bytes(outcome)


class TinyRule(NamedTuple):
    """The state after an object, and its outcome, by (size - 1) * STATES + state."""

    after: bytes
    outcome: bytes


RULE = TinyRule(*tables())
RULE_12 = TinyRule(*tables(True))  # later releases' on 32-bit machines


@cache
def _packed(rule: TinyRule) -> TinyRule:
    """The same in 256 bytes, by (size - 1) * PACKED + offset - 1, with a size of 16 that leaves all as it is.

    A block that is full is as none, since nothing fits.
    """
    after, outcome = bytearray(), bytearray()
    for size in range(1, 17):
        for state in range(1, PACKED + 1):
            at = (size - 1) * STATES + state
            after.append(rule.after[at] - 1 if size < 16 else state - 1)
            outcome.append(rule.outcome[at] if size < 16 else NEW_ASIDE)
    return TinyRule(bytes(after), bytes(outcome))


def run(sizes: Ints, state: int, rule: TinyRule = RULE) -> tuple[Ints, int]:
    """The outcome for each size (uint8) up to 16, and the state that is left.

    16 stands for what takes as much as a tiny block and is not the tiny allocator's.
    """
    outcome, left = _run(sizes, (state - 1) % PACKED, _packed(rule))
    return outcome, left + 1 if len(sizes) else state


def _run(sizes: Ints, state: int, rule: TinyRule) -> tuple[Ints, int]:
    """The same where a state is an offset less one."""
    base = (sizes - np.uint8(1)) * np.uint8(PACKED)
    pieces = len(base) // PIECE
    if pieces < 16:
        return _run_slowly(base, state, rule)
    # Step k of every piece side by side: row k.
    steps = np.ascontiguousarray(base[: pieces * PIECE].reshape(pieces, PIECE).T)
    begin = np.full(pieces, PACKED - 1, np.uint8)
    for row in steps[PIECE - WARM_UP :]:
        begin[1:] = _step(row[:-1] + begin[1:], rule)
    begin[0] = state
    states, ends = _run_side_by_side(steps, begin, rule)
    wrong = np.flatnonzero(begin[1:] != ends[:-1]) + 1
    if not _mend(states, base, ends, wrong.tolist(), rule):
        states, ends = _run_side_by_side(steps, _begins(steps, state, rule), rule)
    outcome = _translated(states, rule.outcome)
    rest, state = _run_slowly(base[pieces * PIECE :], int(ends[-1]), rule)
    return np.concatenate((outcome, rest)), state


def _run_side_by_side(steps: Ints, now: Ints, rule: TinyRule) -> tuple[Ints, Ints]:
    """Every piece from its beginning: sizes and states together, in the objects' order, and the ends."""
    states = np.empty_like(steps)
    for row, into in zip(steps, states, strict=True):
        np.add(row, now, out=into)
        now = _step(into, rule)
    return np.ascontiguousarray(states.T), now.copy()


def _begins(steps: Ints, state: int, rule: TinyRule) -> Ints:
    """Where every piece begins, found by running each from every state that there is."""
    pieces = steps.shape[1]
    now = np.repeat(np.arange(PACKED, dtype=np.uint8), pieces)
    for row in steps:
        now = _step(np.tile(row, PACKED) + now, rule)
    begins = bytearray()
    for ends in now.reshape(PACKED, pieces).T.tolist():
        begins.append(state)
        state = ends[state]
    return np.frombuffer(begins, np.uint8)


def _step(states: Ints, rule: TinyRule) -> Ints:
    return np.frombuffer(states.tobytes().translate(rule.after), np.uint8)


def _translated(states: Ints, table: bytes) -> Ints:
    return np.frombuffer(states.tobytes().translate(table), np.uint8)


def _mend(states: Ints, base: Ints, ends: Ints, wrong: list[int], rule: TinyRule) -> bool:
    """Runs on from the ends of the pieces before, as far as anything differs. False if that is too far."""
    patience = len(base) // 64
    for piece in wrong:
        state = int(ends[piece - 1])
        while piece < len(states):
            row = states[piece]
            sizes = base[piece * PIECE : (piece + 1) * PIECE].tolist()
            for k, (size, was) in enumerate(zip(sizes, row.tolist(), strict=True)):
                if size + state == was:
                    patience -= k
                    break
                row[k] = size + state
                state = rule.after[size + state]
            else:
                patience -= PIECE
                ends[piece] = state
                piece += 1
                if patience > 0:
                    continue
            break
        if patience <= 0:
            return False
    return True


def _run_slowly(base: Ints, state: int, rule: TinyRule) -> tuple[Ints, int]:
    out = bytearray(len(base))
    for i, size in enumerate(base.tolist()):
        out[i] = rule.outcome[size + state]
        state = rule.after[size + state]
    return np.frombuffer(out, np.uint8), state
