"""A heap on a page: its frames to step through, and its curves."""

from __future__ import annotations

import importlib.util

from archcalc.html.page import asset, frame, tables
from archcalc.pictures import heap_svg, plots
from archcalc.pictures.film import Film
from archcalc.results.result import Pictured


def page(result: Pictured, film: Film) -> str:
    """The page of one heap."""
    script = f"{asset('film.js')}film(document);" if len(film.frames) > 1 else ""
    return frame(film.subject, section(film) + tables(result), script)


def section(film: Film, *, bare: bool = False) -> str:
    """Controls, picture and curves. Curves are there where matplotlib is; a line says so where it is not."""
    picture = heap_svg.draw(film.frames, film.subject, bare=bare)
    controls = ""
    if len(film.frames) > 1:
        # On a page the reader turns the frames, not the clock.
        still = ".fr{visibility:hidden}.fr.now{visibility:visible}"
        last = len(film.frames) - 1
        picture = picture.replace(heap_svg.motion(len(film.frames)), still)
        picture = picture.replace(f'class="fr fr{last}"', f'class="fr fr{last} now"')
        events = ",".join(str(heap.event) for heap in film.frames)
        controls = (
            '<p class="controls"><button id="play" type="button">Play</button> '
            f'<label>frame <input id="frame" type="range" min="0" max="{last}" value="{last}" '
            f'data-events="{events}"></label> <output id="event">event {film.last.event}</output></p>'
        )
    curves = "<p class=\"dim\">The curves over events need matplotlib: pip install 'archcalc[html]'.</p>"
    if importlib.util.find_spec("matplotlib") is not None and len(film.samples) > 1:
        curves = f'<h2>Over events</h2><div class="scroll plot">{plots.to_svg(film)}</div>'
    return f'{controls}<div class="scroll picture">{picture}</div>{curves}'
