// Lists that change while they are shown, and their rows.
import { element } from "/page/elements.js";

/** Keeps one element for each entry of a list, so that nothing that is in use is drawn anew. */
export class Rows {
  #made = new Map();

  /** `make` returns `node` and `update`, which takes the entry; `empty` is a text, or the element of a list that is no `ul`. */
  constructor(node, empty, make) {
    this.node = node;
    this.empty = typeof empty === "string" ? element("li", { class: "hint" }, empty) : empty;
    this.make = make;
  }

  update(entries, nameOf) {
    const names = new Set(entries.map(nameOf));
    for (const [name, row] of this.#made) {
      if (names.has(name)) continue;
      row.node.remove();
      this.#made.delete(name);
    }
    for (const [index, entry] of entries.entries()) {
      const name = nameOf(entry);
      if (!this.#made.has(name)) this.#made.set(name, this.make(entry));
      const row = this.#made.get(name);
      row.update(entry);
      if (this.node.children[index] !== row.node) this.node.insertBefore(row.node, this.node.children[index] ?? null);
    }
    if (entries.length) this.empty.remove();
    else this.node.append(this.empty);
  }
}

/** A row: a name, facts below it, and what can be done with it. */
export function row(name, ...actions) {
  const facts = element("p", { class: "facts" });
  const more = element("div", { class: "more" });
  const node = element(
    "li", { class: "row" }, element("div", {}, element("h3", {}, name), facts, more), element("p", { class: "actions" }, actions));
  return { node, facts, more };
}

export const joined = (...parts) => parts.filter(Boolean).join(" · ");
