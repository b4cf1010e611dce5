"use strict";
(async () => {
  // Data: JSON text from the page, unpacked where it is long. Integers beyond 2^53 become BigInts.
  const text = async (name) => {
    const plain = document.getElementById(`${name}-json`);
    if (plain) return plain.textContent;
    const packed = atob(document.getElementById(`${name}-gz`).textContent);
    const bytes = Uint8Array.from(packed, (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const found = await new Response(stream).text();
    const element = document.createElement("script");
    element.type = "application/json";
    element.id = `${name}-json`;
    element.textContent = found;
    document.body.append(element);
    return found;
  };
  const exact = (source) =>
    JSON.parse(source.replace(/([:[,]\s*)(-?\d{16,})(?=\s*[,}\]])/g, '$1"\\u0001$2"'), (_, value) =>
      typeof value === "string" && value[0] === "\u0001" ? BigInt(value.slice(1)) : value);
  const view = document.getElementById("view");
  let report, more;
  try {
    report = exact(await text("report"));
    more = exact(await text("more"));
  } catch (error) {
    view.textContent = `The data of this page cannot be read here (${error.message}). A browser of 2023 or later can.`;
    return;
  }
  const platforms = report.platforms;
  platforms.forEach((p, i) => { p.name = more.names[i]; p.release = more.releases[i]; p.areas = more.areas[i]; });
  const names = platforms.map((p) => p.name);
  const selector = document.getElementById("release");
  const chosenRelease = () => (selector && selector.value) || "";
  const inRelease = (p) => !chosenRelease() || p.release === chosenRelease();
  const here = () => platforms.filter(inRelease);

  // Elements and values.
  const el = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const UNITS = ["", " KB", " MB", " GB", " TB", " PB", " EB"];
  const human = (size) => {
    let left = BigInt(size);
    if (left < 1024n) return "";
    const parts = [];
    for (let power = 6; power >= 0; power--) {
      const unit = 1024n ** BigInt(power);
      if (left / unit) parts.push(`${left / unit}${UNITS[power] || " B"}`);
      left %= unit;
    }
    return parts.length <= 3 ? parts.join(" + ") : "";
  };
  const hex = (value) => (value < 0 ? "-0x" + (-value).toString(16) : "0x" + value.toString(16));
  const shown = (value, unit) => {
    if (value === undefined) return "not declared";
    if (typeof value === "boolean" || typeof value === "string") return String(value);
    return unit === "address" || unit === "mask" ? hex(value) : String(value);
  };
  const reads = (value, unit) =>
    unit === "bytes" && typeof value !== "string" ? human(value) : ["address", "mask", "name", "flag", "bool", "number", ""].includes(unit) ? "" : unit;
  const value = (platform, item) => {
    const { s: section, n: name } = item;
    if (section === "structs") return platform.structs[name]?.size;
    if (section === "layout" && platform.areas) return platform.areas[name];
    if (section !== "layout") return (platform[section] ?? platform.packages?.[more.packages[section]])?.[name];
    const layout = platform.layout;
    if (name === "hints") return layout.hints.length;
    const family = /^(hint|ladder|stack_order)(\d+)$/.exec(name);
    if (!family) return layout[name];
    if (family[1] === "stack_order") return layout.stack_orders[family[2]]?.size;
    return (family[1] === "hint" ? layout.hints : layout.ladder)[family[2]];
  };
  const compare = (a, b) => (a === b ? 0 : a === undefined ? 1 : b === undefined ? -1 : a < b ? -1 : 1);

  // A table whose rows can be filtered and sorted. Columns: {title, get, show, n, cell}.
  const grid = (columns, rows, { id, cards = true, placeholder = "part of a name", sorted = -1 } = {}) => {
    let by = sorted, down = false, words = [];
    const body = el("tbody");
    const count = el("output", { "aria-live": "polite", id: `${id}-count` });
    const heads = columns.map((column, at) =>
      el("th", { scope: "col", class: column.n ? "n" : undefined },
        el("button", { type: "button", onclick: () => { down = by === at && !down; by = at; draw(); } }, column.title)));
    const cellText = (column, row) => (column.show ? column.show(row) : String(column.get(row) ?? ""));
    const draw = () => {
      let left = rows.filter((row) => {
        const all = columns.map((column) => cellText(column, row)).join(" ").toLowerCase();
        return words.every((word) => all.includes(word));
      });
      if (by >= 0) left = [...left].sort((a, b) => compare(columns[by].get(a), columns[by].get(b)) * (down ? -1 : 1));
      heads.forEach((head, at) => at === by ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
      body.replaceChildren(...left.map((row) => el("tr", {}, ...columns.map((column) => {
        const cell = el("td", { class: column.n ? "n" : column.class, "data-label": column.title });
        cell.append(column.cell ? column.cell(row, cell) : cellText(column, row));
        return cell;
      }))));
      count.textContent = left.length === rows.length ? `${rows.length} rows` : `${left.length} of ${rows.length} rows`;
    };
    const input = el("input", { type: "search", id: `${id}-filter`, class: "filter", placeholder, oninput: () => {
      words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      draw();
    } });
    draw();
    return [
      el("p", { class: "controls" }, el("label", {}, "Filter", input), count),
      el("div", { class: "scroll" }, el("table", { id, class: cards ? "cards" : "" }, el("thead", {}, el("tr", {}, ...heads)), body)),
    ];
  };
  const choice = (id, label, chosen, change, empty) =>
    el("label", {}, label, el("select", { id, onchange: (event) => change(event.target.value) },
      ...(empty ? [el("option", { value: "" }, empty)] : []),
      ...here().map((p) => p.name).map((name) => el("option", { value: name, selected: name === chosen }, name))));
  const go = (name, ...rest) => { location.hash = [name, ...rest].map(encodeURIComponent).join(":"); };
  const first = () => (here()[0] ?? platforms[0]).name;
  const at = (name) => {
    const found = names.indexOf(name);
    return found >= 0 && inRelease(platforms[found]) ? found : names.indexOf(first());
  };

  // How a figure comes about.
  const derivation = (item, index) => {
    const found = item.how.find(([who]) => who.includes(index));
    if (!found) return el("p", {}, "A count of what stands in the table.");
    const [who, formula, steps, mentions, source, type, dependents] = found;
    const others = who.length === names.length ? "all platforms" : who.length > 1 ? `${who.length} platforms: ${who.map((i) => names[i]).join(", ")}` : "this platform alone";
    return el("div", {},
      el("pre", {}, [formula, ...steps.map((step) => (formula ? `  = ${step}` : step))].filter(Boolean).join("\n")),
      mentions.length ? el("div", { class: "scroll" }, el("table", {}, el("tbody", {}, ...mentions.map(([name, worth, origin]) =>
        el("tr", {}, el("td", {}, name), el("td", {}, worth), el("td", { class: "dim" }, origin)))))) : null,
      el("p", { class: "dim" }, `${type ? type + ". " : ""}Stands at ${source}. The same derivation on ${others}.`),
      dependents.length ? el("p", { class: "dim" }, `Directly follow: ${dependents.join(", ")}.`) : null);
  };
  const openable = (item, index, worth) => (row, cell) => value(platforms[index], item) === undefined ? worth : el("button", { type: "button", class: "how", "aria-expanded": "false", onclick: (event) => {
    const button = event.currentTarget;
    const line = cell.parentElement;
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) return line.nextElementSibling.remove();
    line.after(el("tr", { class: "derivation" }, el("td", { colspan: line.children.length }, derivation(item, index))));
  } }, worth);

  const byName = (section, name) => more.inventory.find((item) => item.s === section && item.n === name);
  const views = {
    overview() {
      const pick = [["word", "sys", "PtrSize"], ["arena", "layout", "arena_size"], ["bitmap", "layout", "bitmap_size"],
        ["spans", "layout", "spans_size"], ["reservation", "layout", "reservation_size"], ["first hint", "layout", "hint0"],
        ["arena bits", "constants", "_MHeapMap_TotalBits"], ["smallest stack", "constants", "_FixedStack"],
        ["heap address bits", "constants", "heapAddrBits"], ["an arena", "constants", "heapArenaBytes"], ["its record", "layout", "heap_arena_size"],
        ["arena map", "layout", "arena_map_l2_size"], ["summaries", "layout", "summary_reserved"], ["a start takes", "layout", "start_reserved"],
        ["drawn by lot", "layout", "random_bits"], ["stack", "constants", "fixedStack"]];
      const rows = here();
      const known = pick.filter(([, section, name]) => rows.some((p) => value(p, { s: section, n: name }) !== undefined));
      const columns = [
        { title: "platform", get: (p) => p.name, cell: (p) => el("a", { href: `#figures:${encodeURIComponent(p.name)}` }, p.name) },
        ...known.map(([title, section, name]) => {
          const item = byName(section, name) ?? { s: section, n: name, u: "" };
          return { title, n: true, get: (p) => value(p, item), show: (p) => shown(value(p, item), item.u) };
        }),
        ...(rows.some((p) => more.boots[at(p.name)].outcome !== "not booted") ? [
          { title: "boots", get: (p) => more.boots[at(p.name)].outcome },
          { title: "findings", n: true, get: (p) => more.findings.filter((f) => f.platform === p.name && f.severity !== "info").length },
        ] : []),
      ];
      return [el("h2", {}, "Overview"), ...grid(columns, rows, { id: "overview", placeholder: "linux 64 …" })];
    },
    figures(name = first()) {
      const index = at(name), platform = platforms[index];
      const rows = more.inventory.filter((item) => value(platform, item) !== undefined);
      const columns = [
        { title: "name", get: (i) => i.n },
        { title: "value", n: true, get: (i) => value(platform, i), show: (i) => shown(value(platform, i), i.u),
          cell: (i, cell) => openable(i, index, shown(value(platform, i), i.u))(i, cell) },
        { title: "reads as", get: (i) => reads(value(platform, i), i.u) },
        { title: "section", get: (i) => i.s },
        { title: "what it is", class: "what", get: (i) => i.w },
      ];
      return [el("h2", {}, `Figures of ${platform.name}`),
        el("p", { class: "controls" }, choice("platform", "Platform", platform.name, (chosen) => go("figures", chosen))),
        el("p", { class: "dim" }, "A click on a value shows how it comes about."),
        ...grid(columns, rows, { id: "figures", placeholder: "_Page, stack, bytes …" }),
        el("h3", {}, "Types"),
        ...Object.entries(platform.structs).map(([type, struct]) => el("details", {},
          el("summary", {}, `${type}: ${struct.size} bytes, aligned to ${struct.align}`),
          el("div", { class: "scroll" }, el("table", {}, el("tbody", {}, ...struct.fields.map((f) =>
            el("tr", {}, el("td", { class: "n" }, String(f.offset)), el("td", {}, f.name), el("td", { class: "n" }, `${f.size} bytes`)))))))),
      ];
    },
    maps(a = first(), b = "") {
      const holder = (name) => { const box = el("div"); box.innerHTML = more.maps[at(name)]; return box; };
      const swatch = ([kind, words]) => {
        const item = el("li");
        item.innerHTML = `<svg class="pic" width="18" height="12"><rect width="18" height="12" ${kind === "free" ? 'class="free"' : `fill="url(#k-${kind})"`}/><rect width="18" height="12" class="edge"/></svg>`;
        item.append(words);
        return item;
      };
      return [el("h2", {}, "Address space after boot"),
        el("p", { class: "controls" }, choice("map-a", "Platform", a, (name) => go("maps", name, b)), choice("map-b", "beside", b, (name) => go("maps", a, name), "none")),
        el("div", { class: "maps" }, holder(a), ...(b ? [holder(b)] : [])),
        el("ul", { class: "swatches" }, ...more.legend.map(swatch)),
        el("p", { class: "dim" }, "To scale; each bar enlarges a part of one above it. Over the first bar the hints: disc had, cross refused, diamond moved, dot not tried.")];
    },
    classes(name = first(), typed = "100") {
      const platform = platforms[at(name)], classes = platform.size_classes;
      const page = Number(platform.constants._PageSize), small = Number(platform.constants._MaxSmallSize ?? platform.constants.maxSmallSize);
      const answer = el("div", { id: "class-answer", "aria-live": "polite" });
      const parse = (word) => {
        const found = /^\s*(0x[0-9a-f]+|\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*$/i.exec(word);
        if (!found || (found[1].startsWith("0x") && found[2])) return NaN;
        const size = Number(found[1]) * 1024 ** " kmgt".indexOf(found[2].toLowerCase() || " ");
        return Number.isInteger(size) ? size : NaN;
      };
      const show = (word) => {
        const size = parse(word);
        if (!(size > 0)) return answer.replaceChildren(el("p", {}, "A size such as 100, 4k or 0x1000."));
        const found = size <= small ? classes.find((c) => c.size >= size) : undefined;
        const rounded = found ? found.size : Math.ceil(size / page) * page;
        const pages = found ? found.pages : rounded / page;
        const objects = found ? found.objects : 1, tail = found ? found.tail_waste : 0;
        const span = pages * page, inside = rounded - size;
        const pairs = { class: found ? found.class : "none: a large object with a span of its own", "rounded to": `${rounded} bytes`,
          "lost inside": `${inside} bytes, ${(100 * inside / rounded).toFixed(1)}%`, span: `${pages} page${pages > 1 ? "s" : ""}, ${span} bytes`,
          "objects a span": objects, "lost at its tail": `${tail} bytes`, "lost in all": `${(100 * (inside * objects + tail) / span).toFixed(1)}%` };
        const drawn = Math.min(objects, 64), cells = [];
        for (let i = 0; i < drawn; i++) {
          cells.push(el("span", { style: `width:${100 * size / span * objects / drawn}%` }));
          cells.push(el("span", { class: "waste", style: `width:${100 * inside / span * objects / drawn}%` }));
        }
        answer.replaceChildren(
          el("dl", {}, ...Object.entries(pairs).flatMap(([key, worth]) => [el("dt", {}, key), el("dd", { "data-key": key }, String(worth))])),
          el("div", { class: "slots", role: "img", "aria-label": `a span of ${objects} objects` }, ...cells, el("span", { class: "waste", style: `width:${100 * tail / span}%` })),
          el("p", { class: "dim" }, `A span${objects > drawn ? `, its ${objects} objects drawn as ${drawn}` : ""}: solid what was asked for, hatched what is lost.`));
      };
      const input = el("input", { id: "size", value: typed, inputmode: "text", oninput: () => show(input.value) });
      show(typed);
      const columns = [["class"], ["size"], ["pages"], ["objects"], ["tail waste", "tail_waste"]].map(([title, key = title]) =>
        ({ title, n: true, get: (row) => row[key] }));
      return [el("h2", {}, "Size classes"),
        el("p", { class: "controls" }, el("label", {}, "Size", input), choice("class-platform", "on", platform.name, (chosen) => go("classes", chosen, input.value))),
        answer, ...grid(columns, classes, { id: "size-classes", cards: false })];
    },
    diff(a = first(), b = (here()[1] ?? here()[0] ?? platforms[0]).name) {
      const left = platforms[at(a)], right = platforms[at(b)];
      const rows = more.inventory.filter((item) => value(left, item) !== value(right, item));
      const delta = (i) => {
        const [x, y] = [value(left, i), value(right, i)];
        return ["number", "bigint"].includes(typeof x) && ["number", "bigint"].includes(typeof y) ? BigInt(y) - BigInt(x) : undefined;
      };
      const columns = [
        { title: "name", get: (i) => i.n },
        { title: left.name, n: true, get: (i) => value(left, i), show: (i) => shown(value(left, i), i.u), cell: (i, cell) => openable(i, at(a), shown(value(left, i), i.u))(i, cell) },
        { title: right.name === left.name ? `${right.name} too` : right.name, n: true, get: (i) => value(right, i), show: (i) => shown(value(right, i), i.u), cell: (i, cell) => openable(i, at(b), shown(value(right, i), i.u))(i, cell) },
        { title: "difference", n: true, get: delta, show: (i) => delta(i)?.toString() ?? "" },
        { title: "section", get: (i) => i.s },
        { title: "what it is", class: "what", get: (i) => i.w },
      ];
      return [el("h2", {}, "What differs"),
        el("p", { class: "controls" }, choice("diff-a", "From", left.name, (name) => go("diff", name, right.name)), choice("diff-b", "to", right.name, (name) => go("diff", left.name, name))),
        ...grid(columns, rows, { id: "diff" })];
    },
    checks() {
      const columns = [
        { title: "severity", get: (f) => f.severity, cell: (f) => el("span", { class: f.severity }, f.severity) },
        { title: "id", get: (f) => f.id },
        { title: "platform", get: (f) => f.platform },
        { title: "message", class: "what", get: (f) => f.message },
      ];
      const errors = more.findings.filter((f) => f.severity === "error").length;
      return [el("h2", {}, "Checks"), el("p", {}, el("span", { class: errors ? "error" : "good" }, errors ? `${errors} errors` : "No errors"), `, ${more.findings.length - errors} warnings and infos.`),
        ...grid(columns, more.findings, { id: "findings", placeholder: "warning linux …" })];
    },
    boots() {
      const rows = names.map((name, i) => ({ name, ...more.boots[i] }));
      const last = (b) => b.attempts[b.attempts.length - 1];
      const columns = [
        { title: "platform", get: (b) => b.name },
        { title: "outcome", get: (b) => b.outcome, show: (b) => (b.throw ? `${b.outcome}: ${b.throw}` : b.outcome) },
        { title: "tries", n: true, get: (b) => b.attempts.length,
          cell: (b, cell) => el("button", { type: "button", class: "how", "aria-expanded": "false", onclick: (event) => {
            const open = event.currentTarget.getAttribute("aria-expanded") === "true", line = cell.parentElement;
            event.currentTarget.setAttribute("aria-expanded", String(!open));
            if (open) return line.nextElementSibling.remove();
            line.after(el("tr", { class: "derivation" }, el("td", { colspan: line.children.length },
              el("pre", {}, b.attempts.map(([hint, size, answer]) => `asked for ${hint === null ? "anywhere" : hex(hint)}, ${size} bytes: ${answer ? `got ${hex(answer)}` : "refused"}`).join("\n")),
              el("pre", {}, b.checks.map(([id, ok, seen]) => `${ok ? "held  " : "FAILED"} ${id}: ${seen}`).join("\n")))));
          } }, String(b.attempts.length)) },
        { title: "hint", n: true, get: (b) => last(b)?.[0], show: (b) => (last(b) && last(b)[0] !== null ? hex(last(b)[0]) : "") },
        ...[["spans", "spans_start"], ["bitmap ends", "bitmap"], ["arena used", "arena_used"], ["arena ends", "arena_end"],
          ["heap starts", "heap_start"], ["heap ends", "heap_end"]].filter(([, key]) => rows.some((b) => b.arena?.[key] !== undefined)).map(([title, key]) =>
          ({ title, n: true, get: (b) => b.arena?.[key], show: (b) => (b.arena?.[key] !== undefined ? hex(b.arena[key]) : "") })),
        { title: "invariants", get: (b) => `${b.checks.filter((c) => c[1]).length} of ${b.checks.length} held` },
      ];
      return [el("h2", {}, "Boots"), el("p", { class: "dim" }, "A click on the tries shows each reservation that was asked for, and each invariant."), ...grid(columns, rows, { id: "boots" })];
    },
  };

  const heap = document.getElementById("heap");
  if (heap) views.heap = () => {
    const box = el("div");
    box.append(heap.content.cloneNode(true));
    film(box);
    return [el("h2", {}, "A heap while it runs"), box];
  };

  // Going from view to view; the address says which, so that back, forward and bookmarks work.
  const links = [...document.querySelectorAll("nav a")];
  const show = (focus) => {
    const [name, ...rest] = decodeURIComponent(location.hash.slice(1)).split(":");
    const chosen = views[name] ? name : "overview";
    view.replaceChildren(...views[chosen](...rest.map((word) => word || undefined)));
    links.forEach((link) => link.hash === `#${chosen}` ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current"));
    if (focus) view.focus({ preventScroll: true });
  };
  addEventListener("hashchange", () => show(true));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(input|select|textarea)$/i.test(event.target.tagName)) return;
    if (event.key === "/") {
      const filter = view.querySelector(".filter");
      if (filter) { event.preventDefault(); filter.focus(); }
    } else if (event.key >= "1" && event.key <= String(links.length)) location.hash = links[event.key - 1].hash;
  });

  if (selector) selector.addEventListener("change", () => show(false));

  // Colours: as the system has them, until somebody chooses.
  const theme = document.getElementById("theme"), THEMES = ["auto", "light", "dark"];
  const remember = (what) => { try { return what(localStorage); } catch { return null; } };
  const paint = (chosen) => {
    if (chosen === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    theme.textContent = `Colours: ${chosen}`;
    theme.setAttribute("aria-label", `Colours: ${chosen === "auto" ? "as the system has them" : chosen}`);
    theme.dataset.chosen = chosen;
  };
  theme.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(theme.dataset.chosen) + 1) % THEMES.length];
    paint(next);
    remember((storage) => storage.setItem("archcalc-theme", next));
  });
  const kept = remember((storage) => storage.getItem("archcalc-theme"));
  paint(THEMES.includes(kept) ? kept : "auto");
  show(false);
  document.documentElement.dataset.ready = "yes";
})();
