"""Pictures of address spaces and heaps: what to draw, apart from how it is drawn.

`atlas` surveys a booted machine, `zoom` finds out which parts of it are too small to see and
need an enlargement, `map_text` and `map_svg` draw the result. `heap` looks at spans, `heap_text`
and `heap_svg` draw them, `film` takes heaps while a workload or a recording runs, `plots` has the curves.
`everything` gathers what the one-page report shows.
`palette` says how each kind of thing looks: a letter, a colour and a pattern, so that no meaning rests
on colour alone.
"""
