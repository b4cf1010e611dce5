"""Describe a machine on which a program died, and get the runtime's own last words."""

from allocator.common.throw import Death
from archcalc.boot import boot

for limit in (800 << 20, 500 << 20, 200 << 20):
    try:
        rt = boot("linux/386", ulimit_v=limit, image_size=2 << 20)
    except Death as death:
        print(f"ulimit -v {limit >> 10}: fatal error: {death.words}")
    else:
        tried = [f"{a.size >> 20} MB {'at ' + hex(a.answer) if a.answer else 'refused'}" for a in rt.attempts]
        print(f"ulimit -v {limit >> 10}: boots ({', '.join(tried)})")
