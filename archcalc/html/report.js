"use strict";
(async () => {
  // Data: JSON text from the page, unpacked where it is long. Integers beyond 2^53 become BigInts.
  const text = async (name) => {
    const plain = document.getElementById(`${name}-json`);
    if (plain) return plain.textContent;
    const packed = atob(document.getElementById(`${name}-gz`).textContent);
    const bytes = Uint8Array.from(packed, (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    // Each line is there once, after the order of all.
    const [order, ...lines] = (await new Response(stream).text()).split("\n");
    const found = order.split(" ").map((number) => lines[number]).join("\n");
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
  platforms.forEach((p, i) => { p.name = more.names[i]; p.release = more.releases[i]; p.areas = more.areas[i]; p.bits = more.address_bits[i]; p.sizes = more.sizes[i]; });
  const names = platforms.map((p) => p.name);
  const selector = document.getElementById("release");
  const narrow = matchMedia("(max-width: 640px)");
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
  // What stands beside an exact number of bytes, and what a pointer that rests on it is told.
  const rough = (size) => {
    let left = Number(size), power = 0;
    while (left >= 1024 && power < UNITS.length - 1) { left /= 1024; power += 1; }
    return Number.isInteger(left) ? `${left}${UNITS[power]}` : `≈ ${Number(left.toPrecision(3))}${UNITS[power]}`;
  };
  const measured = (cell, value, unit, beside) => {
    if (unit !== "bytes" || !["number", "bigint"].includes(typeof value)) return;
    const words = human(value);
    cell.title = words ? `${value} bytes = ${words}` : `${value} bytes`;
    if (words && beside) cell.dataset.reads = rough(value);
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
  // What a reader has typed and sorted by stays while the page is open.
  const kept = new Map();
  const grid = (columns, rows, { id, cards = true, placeholder = "part of a name", sorted = -1 } = {}) => {
    if (!kept.has(id)) kept.set(id, { by: sorted, down: false, typed: "" });
    const state = kept.get(id);
    if (state.by >= columns.length) state.by = -1;
    const body = el("tbody");
    const count = el("output", { "aria-live": "polite", id: `${id}-count` });
    const heads = columns.map((column, at) =>
      el("th", { scope: "col", class: column.n ? "n" : undefined },
        el("button", { type: "button", id: `${id}-sort-${at}`, onclick: () => { state.down = state.by === at && !state.down; state.by = at; draw(); } }, column.title)));
    const cellText = (column, row) => (column.show ? column.show(row) : String(column.get(row) ?? ""));
    const draw = () => {
      const { by, down } = state, words = state.typed.toLowerCase().split(/\s+/).filter(Boolean);
      let left = rows.filter((row) => {
        const all = columns.map((column) => cellText(column, row)).join(" ").toLowerCase();
        return words.every((word) => all.includes(word));
      });
      if (by >= 0) left = [...left].sort((a, b) => compare(columns[by].get(a), columns[by].get(b)) * (down ? -1 : 1));
      heads.forEach((head, at) => at === by ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
      body.replaceChildren(...left.map((row) => el("tr", {}, ...columns.map((column) => {
        const cell = el("td", { class: column.n ? "n" : column.class, "data-label": column.title });
        cell.append(column.cell ? column.cell(row, cell) : cellText(column, row));
        if (column.unit) measured(cell, column.get(row), column.unit(row), column.beside !== false);
        return cell;
      }))));
      count.textContent = left.length === rows.length ? `${rows.length} rows` : `${left.length} of ${rows.length} rows`;
    };
    const input = el("input", { type: "search", id: `${id}-filter`, class: "filter", placeholder, value: state.typed, oninput: () => {
      state.typed = input.value;
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

  // What becomes of an object of some size, as the command sizeclass says it.
  const POWERS = " kmgtpe";
  const sizeOf = (word) => {
    const expected = "a size such as 64k, 1.5g, 0x10000 or plain bytes";
    const found = /^(?:0x([0-9a-f]+)|(\d(?:_?\d)*)(?:\.(\d+))?\s*([kmgtpe]?)(?:i?b)?)$/i.exec(word.trim());
    if (!found || word.length > 80) throw new Error(`'${word}' is not a size; expected ${expected}`);
    const [, digits, whole, part = "", unit] = found;
    if (digits) return BigInt(`0x${digits}`);
    const scale = 10n ** BigInt(part.length);
    const scaled = BigInt(whole.replaceAll("_", "") + part) * 1024n ** BigInt(unit ? POWERS.indexOf(unit.toLowerCase()) : 0);
    if (scaled % scale) throw new Error(`'${word}' is not a whole number of bytes; expected ${expected}`);
    return scaled / scale;
  };
  const share = (part, all) => `${(all ? (100 * Number(part)) / Number(all) : 0).toFixed(1)}%`;
  const bytes = (size) => `${size} bytes`;
  const fate = (platform, word) => {
    const known = platform.sizes, page = BigInt(known.page);
    let size;
    try {
      size = sizeOf(word);
      if (size > BigInt(known.small) && ((size + page - 1n) / page) * page > BigInt(known.mask)) throw new Error(`${size} bytes wrap at the word size of ${platform.name}; expected a smaller size`);
    } catch (error) {
      return [el("p", { class: "fault" }, error.message)];
    }
    if (!size) return [described({ kind: "zerobase: an object of no bytes takes no memory" })];
    const large = size > BigInt(known.small);
    const rounded = large ? ((size + page - 1n) / page) * page : 0n;
    const row = large ? [0, "none: a large object with a span of its own", rounded, rounded / page, 1, 0] : known.plain.find(([most]) => size <= BigInt(most));
    const [, index, element, pages, objects, tail] = row;
    const span = BigInt(pages) * page, inside = BigInt(element) - size;
    const tiny = size < BigInt(known.tiny);
    const pairs = { class: index, kind: large ? "large" : tiny ? `tiny without pointers: shares a block of ${known.tiny} bytes with others` : "small",
      "rounded to": bytes(element), "lost inside": `${bytes(inside)}, ${share(inside, element)}`,
      span: `${pages} page${pages > 1 ? "s" : ""}, ${bytes(span)}`, "objects a span": objects, "lost at its tail": bytes(tail),
      "lost in all": share(span - BigInt(objects) * size, span) };
    if (!large && known.pointers) {
      const [, ownClass, ownElement, , ownObjects, ownTail, header, bits] = known.pointers.find(([most]) => size <= BigInt(most));
      pairs["with pointers"] = `class ${ownClass}, ${bytes(ownElement)}, ${header} of them a header; ${ownObjects} objects a span, ${bits} bytes of heap bits and ${ownTail} bytes of tail`;
    }
    return [described(pairs), ...(large ? [] : slots(size, element, objects, tail))];
  };
  const described = (pairs) => el("dl", {}, ...Object.entries(pairs).flatMap(([key, worth]) => [el("dt", {}, key), el("dd", { "data-key": key }, String(worth))]));
  // A span, each of its objects a box of the same width, and its tail to the same scale.
  const slots = (size, element, objects, tail) => {
    const across = Math.min(objects, narrow.matches ? 32 : 64), used = share(size, element);
    const boxes = [];
    for (let i = 0; i < objects; i++) boxes.push(el("span", { class: "object", title: `object ${i + 1} of ${objects}: bytes ${i * element} to ${(i + 1) * element - 1} of the span, ${used} asked for`, style: `--used:${used}` }));
    if (tail) boxes.push(el("span", { class: "tail", title: `tail: ${tail} bytes`, style: `width:${(100 * tail) / element}%` }));
    return [el("div", { class: "slots", role: "img", "aria-label": `a span of ${objects} objects`, style: `--across:${across}` }, ...boxes),
      el("p", { class: "dim" }, `A span and its ${objects} object${objects > 1 ? "s" : ""}: solid what was asked for, hatched what is lost.`)];
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
      // A figure has had more than one name and place: the first that a platform has is shown.
      const pick = [["word", ["sys", "PtrSize"], ["goarch", "PtrSize"]], ["arena", ["layout", "arena_size"]], ["bitmap", ["layout", "bitmap_size"]],
        ["spans", ["layout", "spans_size"]], ["reservation", ["layout", "reservation_size"]], ["first hint", ["layout", "hint0"]],
        ["arena bits", ["constants", "_MHeapMap_TotalBits"]], ["smallest stack", ["constants", "_FixedStack"], ["constants", "fixedStack"]],
        ["heap address bits", ["constants", "heapAddrBits"]], ["an arena", ["constants", "heapArenaBytes"]], ["its record", ["layout", "heap_arena_size"]],
        ["arena map", ["layout", "arena_map_l2_size"]], ["summaries", ["layout", "summary_reserved"]], ["a start takes", ["layout", "start_reserved"]],
        ["drawn at random", ["layout", "random_bits"]]];
      const rows = here();
      const found = (p, places) => places.map(([section, name]) => byName(section, name) ?? { s: section, n: name, u: "" }).find((item) => value(p, item) !== undefined);
      const columns = [
        { title: "platform", get: (p) => p.name, cell: (p) => el("a", { href: `#figures:${encodeURIComponent(p.name)}` }, p.name) },
        ...pick.filter(([, ...places]) => rows.some((p) => found(p, places))).map(([title, ...places]) => {
          const get = (p) => { const item = found(p, places); return item && value(p, item); };
          return { title, n: true, get, show: (p) => (found(p, places) ? shown(get(p), found(p, places).u) : ""), unit: (p) => found(p, places)?.u };
        }),
        ...(rows.some((p) => more.boots[at(p.name)].outcome !== "not booted") ? [
          { title: "boots", get: (p) => more.boots[at(p.name)].outcome },
          { title: "findings", n: true, get: (p) => more.findings.filter((f) => f.platform === p.name && f.severity !== "info").length },
        ] : []),
        { title: "address bits", n: true, get: (p) => p.bits },
      ];
      return [el("h2", {}, "Overview"),
        el("p", { class: "dim" }, "Address bits are those of the addresses that a process can have; arena bits those of a place in the arena."),
        ...grid(columns, rows, { id: "overview", placeholder: "linux 64 …" })];
    },
    history(port = Object.keys(more.history)[0]) {
      const ports = Object.keys(more.history), told = more.history[port] ?? more.history[ports[0]];
      const picture = (svg) => { const box = el("div", { class: "scroll" }); box.innerHTML = svg; return box; };
      return [el("h2", {}, `From release to release on ${port}`),
        el("p", { class: "controls" }, el("label", {}, "Platform", el("select", { id: "history-port", onchange: (event) => go("history", event.target.value) },
          ...ports.map((name) => el("option", { value: name, selected: name === port }, name))))),
        ...told.flatMap((chapter) => [el("h3", {}, chapter.title), el("p", {}, chapter.why), ...chapter.pictures.map(picture)])];
    },
    figures(name = first()) {
      const index = at(name), platform = platforms[index];
      const rows = more.inventory.filter((item) => value(platform, item) !== undefined);
      const columns = [
        { title: "name", get: (i) => i.n },
        { title: "value", n: true, get: (i) => value(platform, i), beside: false, unit: (i) => i.u, show: (i) => shown(value(platform, i), i.u),
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
      const holder = (name) => { const box = el("div"); box.innerHTML = more.maps[at(name)][narrow.matches ? 1 : 0] ?? ""; return box; };
      return [el("h2", {}, "Address space after boot"),
        el("p", { class: "controls" }, choice("map-a", "Platform", a, (name) => go("maps", name, b)), choice("map-b", "beside", b, (name) => go("maps", a, name), "none")),
        el("div", { class: "maps" }, holder(a), ...(b ? [holder(b)] : [])),
        document.getElementById("map-legend").content.cloneNode(true),
        el("p", { class: "dim" }, "To scale; each bar enlarges a part of one above it. Over the first bar the hints: disc granted, cross refused, diamond moved, dot not tried.")];
    },
    classes(name = first(), typed = "100") {
      const platform = platforms[at(name)];
      const answer = el("div", { id: "class-answer", "aria-live": "polite" });
      const input = el("input", { id: "size", value: typed, inputmode: "text", oninput: () => answer.replaceChildren(...fate(platform, input.value)) });
      answer.append(...fate(platform, typed));
      const columns = [["class"], ["size"], ["pages"], ["objects"], ["tail waste", "tail_waste"]].map(([title, key = title]) =>
        ({ title, n: true, get: (row) => row[key], beside: false, unit: () => (["size", "tail_waste"].includes(key) ? "bytes" : "") }));
      return [el("h2", {}, "Size classes"),
        el("p", { class: "controls" }, el("label", {}, "Size", input), choice("class-platform", "on", platform.name, (chosen) => go("classes", chosen, input.value))),
        answer, ...grid(columns, platform.size_classes, { id: "size-classes", cards: false })];
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
        { title: left.name, n: true, get: (i) => value(left, i), unit: (i) => i.u, show: (i) => shown(value(left, i), i.u), cell: (i, cell) => openable(i, at(a), shown(value(left, i), i.u))(i, cell) },
        { title: right.name === left.name ? `${right.name} too` : right.name, n: true, get: (i) => value(right, i), unit: (i) => i.u, show: (i) => shown(value(right, i), i.u), cell: (i, cell) => openable(i, at(b), shown(value(right, i), i.u))(i, cell) },
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
  const show = () => {
    const [name, ...rest] = decodeURIComponent(location.hash.slice(1)).split(":");
    const chosen = views[name] ? name : "overview";
    // Who chose something in the view goes on there: what has its name takes its place.
    const focused = view.contains(document.activeElement) ? document.activeElement.id : null;
    view.replaceChildren(...views[chosen](...rest.map((word) => word || undefined)));
    links.forEach((link) => link.hash === `#${chosen}` ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current"));
    if (focused !== null) ((focused && document.getElementById(focused)) || view).focus({ preventScroll: true });
  };
  addEventListener("hashchange", show);
  narrow.addEventListener("change", show);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(input|select|textarea)$/i.test(event.target.tagName)) return;
    if (event.key === "/") {
      const filter = view.querySelector(".filter");
      if (filter) { event.preventDefault(); filter.focus(); }
    } else if (event.key >= "1" && event.key <= String(links.length)) location.hash = links[event.key - 1].hash;
  });

  if (selector) selector.addEventListener("change", show);

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
  const last = remember((storage) => storage.getItem("archcalc-theme"));
  paint(THEMES.includes(last) ? last : "auto");
  show();
  document.documentElement.dataset.ready = "yes";
})();
