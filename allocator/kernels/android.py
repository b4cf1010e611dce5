"""Android: mem_linux.go as it stands, in a process that is shared with another runtime.

What is particular there is the machine, not the policy: on Android 5 ART reserves
large parts of a 32-bit address space before Go starts (golang/go#9311), and arm64
kernels give 39 bits.
"""

from __future__ import annotations

from allocator.kernels.linux import Linux


class Android(Linux):
    """mem_linux.go under GOOS=android."""

    name = "android"
