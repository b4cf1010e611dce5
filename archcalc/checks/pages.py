"""Page summaries, chunks and caches of pages, and what kernels have for pages."""

from __future__ import annotations

from archcalc.calculator.figures import Figures
from archcalc.checks import SPARSE, Problem, Problems, check, figure, has, is_power_of_two
from archcalc.reading.words import counted
from archcalc.results.findings import Severity


def page_size(figures: Figures) -> int:
    """Bytes of a page of the heap."""
    return figure(figures, "pageSize", "PageSize", "_PageSize")


@check(
    "pages.page-size",
    "A page is a power of two and holds whole physical pages, or is held by one",
    era=SPARSE,
)
def page_is_power_of_two(figures: Figures) -> Problems:
    """Pages are found by shifts. The scavenger gives back physical pages: they must divide into pages of
    the heap or the other way round.
    """
    size = page_size(figures)
    if not is_power_of_two(size) or size < figure(figures, "minPhysPageSize"):
        yield Problem(f"a page has {counted(size, 'byte')}", "pageSize", data={"pageSize": size})


@check("pages.summaries-cover-map", "Levels of summaries and a chunk make up an address", era=SPARSE)
def summaries_cover_map(figures: Figures) -> Problems:
    """The root has summaryL0Bits, every other level summaryLevelBits, and a leaf is a chunk. With fewer bits
    than heapAddrBits, the highest addresses would share summaries with the lowest.
    """
    levels, bits = figure(figures, "summaryLevels"), figure(figures, "heapAddrBits")
    found = figure(figures, "summaryL0Bits") + (levels - 1) * figure(figures, "summaryLevelBits")
    found += figure(figures, "logPallocChunkBytes")
    if found != bits:
        yield Problem(
            f"levels and chunk have {counted(found, 'bit')}, an address {bits}",
            "summaryL0Bits",
            data={"found": found, "heapAddrBits": bits},
        )


@check("pages.summary-fits-word", "A summary's three counts fit its bytes", era=SPARSE)
def summary_fits_word(figures: Figures) -> Problems:
    """A pallocSum packs start, longest run and end into one word, with a bit for "all free". Were a count
    longer, runs of a whole root entry would spill into their neighbours.
    """
    bits, room = figure(figures, "logMaxPackedValue"), 8 * figure(figures, "pallocSumBytes")
    levels, level = figure(figures, "summaryLevels"), figure(figures, "summaryLevelBits")
    wanted = figure(figures, "logPallocChunkPages") + (levels - 1) * level
    if 3 * bits + 1 > room or bits < wanted:
        yield Problem(
            f"counts of {counted(bits, 'bit')}, where a root entry needs {wanted}, in {counted(room, 'bit')}",
            "logMaxPackedValue",
            data={"logMaxPackedValue": bits, "wanted": wanted},
        )


@check("pages.chunks-divide-arena", "An arena is a whole number of chunks", era=SPARSE)
def chunks_divide_arena(figures: Figures) -> Problems:
    """The heap grows by chunks inside arenas. A chunk that reached into the next arena would describe pages
    that were never reserved.
    """
    arena, chunk = figure(figures, "heapArenaBytes"), figure(figures, "pallocChunkBytes")
    if arena % chunk:
        yield Problem(
            f"an arena has {counted(arena, 'byte')}, a chunk {chunk}",
            "pallocChunkBytes",
            data={"chunk": chunk},
        )


@check("pages.chunk-map", "The map of chunks reaches every address of heapAddrBits", era=SPARSE)
def chunk_map(figures: Figures) -> Problems:
    """pageAlloc.chunks is a map in two levels, too: its bits and those of a chunk are those of an address."""
    parts = [
        figure(figures, name) for name in ("pallocChunksL1Bits", "pallocChunksL2Bits", "logPallocChunkBytes")
    ]
    if sum(parts) != figure(figures, "heapAddrBits"):
        yield Problem(
            f"{' + '.join(map(str, parts))} bits are not the {figure(figures, 'heapAddrBits')} of an address",
            "pallocChunksL2Bits",
            data={"found": sum(parts)},
        )


@check("pages.scavenge-index", "The scavenge index has a record for every chunk", era=SPARSE)
def scavenge_index(figures: Figures) -> Problems:
    """The background scavenger finds chunks with pages to give back by the index. It is reserved for the
    whole address space at once, so its size follows from heapAddrBits.
    """
    if not has(figures, "layout.scavenge_index_entries"):
        return
    entries, chunk = figure(figures, "layout.scavenge_index_entries"), figure(figures, "pallocChunkBytes")
    wanted = (1 << figure(figures, "heapAddrBits")) // chunk
    if entries < wanted:
        yield Problem(
            f"{counted(entries, 'record')}, of {wanted}", "scavenge_index_entries", data={"entries": entries}
        )


@check("pages.cache-is-a-word", "A page cache is a word, and divides a chunk", era=SPARSE)
def cache_is_a_word(figures: Figures) -> Problems:
    """A P's page cache is a bitmap of 64 pages in one uint64, aligned in its chunk: allocToCache cuts it out
    of the chunk's bits as a whole word.
    """
    pages, chunk = figure(figures, "pageCachePages"), figure(figures, "pallocChunkPages")
    if pages != 64 or chunk % pages:
        yield Problem(
            f"a cache of {counted(pages, 'page')}, a chunk of {chunk}",
            "pageCachePages",
            data={"pages": pages},
        )


@check("pages.phys-page-range", "Kernels' pages are between minPhysPageSize and maxPhysPageSize", era=SPARSE)
def phys_page_range(figures: Figures) -> Problems:
    """mallocinit dies with "bad system page size" outside of that range: the scavenger's bitmaps could not
    say what is given back.
    """
    least, most = figure(figures, "minPhysPageSize"), figure(figures, "maxPhysPageSize")
    for size in figures.profile.machine["phys_page_sizes"]:
        if not least <= size <= most:
            yield Problem(
                f"kernels may have pages of {counted(size, 'byte')}; mallocinit accepts {least} to {most}",
                f"phys_page_sizes {size}",
                data={"phys_page_size": size},
            )


@check(
    "pages.huge-page-known", "The kernel's huge pages are not too large to be minded", Severity.INFO, SPARSE
)
def huge_page_known(figures: Figures) -> Problems:
    """Huge pages above maxPhysHugePageSize count as none: the scavenger may break them up."""
    size = int(figures.profile.machine.get("phys_huge_page_size", 0))
    most = figure(figures, "maxPhysHugePageSize")
    if size > most:
        yield Problem(
            f"huge pages have {counted(size, 'byte')}, and are minded up to {most}",
            "phys_huge_page_size",
            data={"phys_huge_page_size": size, "maxPhysHugePageSize": most},
        )
