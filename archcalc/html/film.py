"""The page of a heap: its frames to step through, its curves, its tables."""

from __future__ import annotations

import importlib.util

from archcalc.html.page import asset, frame, tables
from archcalc.pictures import heap_svg, plots
from archcalc.pictures.film import Film
from archcalc.results import Pictured


def page(result: Pictured, film: Film) -> str:
    """The page. Curves are there where matplotlib is; a line says so where it is not."""
    picture = heap_svg.draw(film.frames, film.subject)
    controls = ""
    if len(film.frames) > 1:
        picture = picture.replace(
            heap_svg.motion(len(film.frames)), ".fr{visibility:hidden}.fr.now{visibility:visible}"
        )
        last = len(film.frames) - 1
        picture = picture.replace(f'class="fr fr{last}"', f'class="fr fr{last} now"')
        controls = (
            '<p class="controls"><button id="play" type="button">Play</button> '
            f'<label>frame <input id="frame" type="range" min="0" max="{last}" value="{last}"></label> '
            f'<output id="event">event {film.last.event}</output></p>'
        )
    curves = "<p class=\"dim\">The curves over events need matplotlib: pip install 'archcalc[html]'.</p>"
    if importlib.util.find_spec("matplotlib") is not None and len(film.samples) > 1:
        curves = f'<h2>Over events</h2><div class="scroll plot">{plots.to_svg(film)}</div>'
    events = ",".join(str(heap.event) for heap in film.frames)
    script = asset("film.js").replace("EVENTS", f"[{events}]") if len(film.frames) > 1 else ""
    body = f'{controls}<div class="scroll picture">{picture}</div>{curves}{tables(result)}'
    return frame(film.subject, body, script)
