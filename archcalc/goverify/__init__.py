"""Ground truth: what a Go source tree says, and what a built program really has, against the figures.

    buildtags.py    which files of a package belong to a port
    gofile.py       one Go file read by tree-sitter into its declarations
    tree.py         a source tree: its packages as a port sees them, its constants, types and tables
    mallocinit.py   the reservations that a tree's mallocinit asks for
    era.py          which generation of the allocator a tree or a program has
    comparison.py   values beside each other, and the outcome
    port.py         one port of a tree beside the figures for it
    constants.py    its constants; types.py its structs; classtables.py its tables of size classes
    reservation.py  where a contiguous heap lies, arenahints.py where a heap in arenas asks to lie
    stackorders.py  its stacks
    causes.py       which differences follow from which
    source.py       a tree against the calculator
    changes.py      two trees against each other
    image.py        a program's parts: segments, symbols, sections; formats/ reads them from its file
    pclntab.py      functions and files of a program without symbol table
    dwarf.py        types of a program
    program.py      a program against the calculator

Reading trees and programs needs packages that the calculator itself does not: the extra `verify`.
"""
