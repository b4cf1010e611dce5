"""Lock-free stacks, whose head is a node's address and a count in one word of 64 bits (lfstack.go, tagptr).

Not every address fits there. The runtime only checks that after it has packed one, and dies if it did not
fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.common.throw import Throw

if TYPE_CHECKING:
    from allocator.sparse.config import Config

WORD = (1 << 64) - 1
AIX_SEGMENTS = 0xA << 56  # everything that mmap gives there lies above this address


def pack(config: Config, node: int, tag: int) -> int:
    """A node's address and a count as one word; address bits that do not fit are lost (taggedPointerPack)."""
    return (node << (config.tag_bits - config.tag_align_bits) | tag & (1 << config.tag_bits) - 1) & WORD


def unpack(config: Config, packed: int) -> int:
    """The address in such a word (taggedPointer.pointer)."""
    if config.goarch == "amd64" and packed >> 63:
        # A stack may lie above the hole between the two halves of the addresses, so the sign goes on.
        packed |= WORD << 64
    address = packed >> config.tag_bits << config.tag_align_bits & WORD
    return address | AIX_SEGMENTS if config.goos == "aix" else address


class LFStack:
    """One lfstack of nodes, which are addresses; `counts` are the pushes of each, kept in the node."""

    __slots__ = ("config", "counts", "nodes")

    def __init__(self, config: Config) -> None:
        self.config = config
        self.nodes: list[int] = []
        self.counts: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.nodes)

    def push(self, node: int) -> None:
        """Puts a node on top. Throws where its address cannot be packed."""
        config = self.config
        count = self.counts[node] = self.counts.get(node, 0) + 1 & config.uintptr_mask
        packed = pack(config, node, count)
        back = unpack(config, packed)
        if back != node:
            if config.pack_checks:
                tag = count & (1 << config.tag_bits) - 1
                line = f"ptr={node:#x} tag={tag:#x} packed={packed:#x} -> ptr={back:#x} tag={tag:#x}"
                raise Throw("taggedPointerPack", f"runtime: taggedPointerPack invalid packing: {line}")
            line = f"node={node:#x} cnt={count:#x} packed={packed:#x} -> node={back:#x}"
            raise Throw("lfstack.push", f"runtime: lfstack.push invalid packing: {line}")
        self.nodes.append(node)

    def pop(self) -> int:
        """The node on top; 0 for none."""
        return self.nodes.pop() if self.nodes else 0
