// Shows a text in Markdown as it arrives. Elements are made one by one, and texts set as texts: nothing that a model
// writes is read as HTML, and an image is a link, so that nothing is asked of any host.
import { copy, element } from "/page/elements.js";

/** A text that grows. What is finished of it is drawn once; only the last block is drawn anew as it grows. */
export class Markdown {
  #root;
  #live = element("div", { class: "live" });
  // The source from the beginning of the last block.
  #tail = "";
  // The last block, if it is code that has not ended: its lines are added to it.
  #code = null;
  #onBlock;

  /** `onBlock` is told the text of each block that is finished. */
  constructor(root, onBlock = () => {}) {
    this.#root = root;
    this.#onBlock = onBlock;
    root.append(this.#live);
  }

  /** How long to wait between two drawings, in milliseconds: the longer what is drawn, the longer. */
  get pause() {
    return this.#code ? 0 : Math.min(1500, this.#tail.length / 60);
  }

  /** Draws what was added. */
  add(text) {
    this.#tail += text;
    if (this.#code && !this.#addCode()) return;
    const parsed = blocks(this.#tail, 0);
    // A block is finished once the first line of the next one is whole.
    let last = parsed.length - 1;
    while (last > 0 && this.#tail.indexOf("\n", parsed[last].start) < 0) last -= 1;
    for (const block of parsed.slice(0, Math.max(0, last))) this.#settle(block.node);
    if (last > 0) this.#tail = this.#tail.slice(parsed[last].start);
    this.#live.replaceChildren(...parsed.slice(Math.max(0, last)).map((block) => block.node));
    const open = parsed[last]?.code;
    if (open && last === parsed.length - 1 && !open.isClosed && this.#tail.includes("\n")) {
      this.#code = open;
      this.#tail = this.#tail.slice(this.#tail.indexOf("\n") + 1);
      open.clear();
      this.#addCode();
    }
  }

  /** Nothing more comes. */
  end() {
    if (this.#code) this.#code.show(this.#tail);
    for (const node of [...this.#live.childNodes]) this.#settle(node);
    this.#live.remove();
  }

  #settle(node) {
    this.#live.before(node);
    this.#onBlock(node.textContent);
  }

  // Adds whole lines to the open code; true when it has ended, and what comes behind it is in the tail.
  #addCode() {
    let from = 0;
    for (let end; (end = this.#tail.indexOf("\n", from)) >= 0; from = end + 1) {
      const line = this.#tail.slice(from, end);
      if (this.#code.endsAt(line)) {
        this.#tail = this.#tail.slice(end + 1);
        this.#code = null;
        for (const node of [...this.#live.childNodes]) this.#settle(node);
        return true;
      }
      this.#code.addLine(line);
    }
    this.#tail = this.#tail.slice(from);
    this.#code.show(this.#code.mayEndAt(this.#tail) ? "" : this.#tail);
    return false;
  }
}

// A block of code. Its lines are in groups, so that only the last group is laid out anew.
class Code {
  isClosed = false;
  #marker;
  #body = element("code");
  #rest = document.createTextNode("");
  #lines = 0;

  constructor(marker, language) {
    this.#marker = marker;
    const button = element("button", { type: "button", class: "quiet" }, "Copy");
    button.addEventListener("click", () => copy(this.#body.textContent, button));
    this.node = element(
      "figure", { class: "code" },
      element("figcaption", {}, element("span", {}, language || "text"), button), element("pre", {}, this.#body));
    this.clear();
  }

  clear() {
    this.#lines = 0;
    this.#body.replaceChildren(element("span", { class: "lines" }, this.#rest));
  }

  endsAt(line) {
    const text = line.trim();
    return text.length >= this.#marker.length && text === this.#marker[0].repeat(text.length) && indent(line) < 4;
  }

  mayEndAt(line) {
    const text = line.trim();
    return text === "" || text === this.#marker[0].repeat(text.length);
  }

  addLine(line) {
    this.#rest.data = "";
    this.#rest.before(line + "\n");
    this.#lines += 1;
    if (this.#lines % 64 === 0) this.#body.append(element("span", { class: "lines" }, this.#rest));
  }

  show(rest) {
    if (this.#rest.data !== rest) this.#rest.data = rest;
  }
}

const depthMax = 6;
const fence = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`]*)$/;
const heading = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t#]*$/;
const rule = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const quote = /^ {0,3}> ?/;
const marker = /^( {0,3})([-*+]|\d{1,9}[.)])([ \t]+|$)/;
const dashes = /^[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

const indent = (line) => line.length - line.trimStart().length;

/** The blocks of a text: for each its node, where it starts, and its code where it is code. */
function blocks(text, depth) {
  const lines = [];
  for (let start = 0; start < text.length; ) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    const line = text.slice(start, end).replace(/\r$/, "").replace(/^\t+/, (tabs) => "    ".repeat(tabs.length));
    lines.push({ start, text: line });
    start = end + 1;
  }
  const found = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].text.trim()) {
      at += 1;
      continue;
    }
    const block = oneBlock(lines, at, depth);
    found.push({ node: block.node, code: block.code, start: lines[at].start });
    at = block.end;
  }
  return found;
}

function oneBlock(lines, at, depth) {
  const line = lines[at].text;
  let match;
  if ((match = fence.exec(line))) return codeBlock(lines, at, match);
  if ((match = heading.exec(line))) {
    return { node: element("h" + Math.min(6, match[1].length + 2), {}, inline(match[2])), end: at + 1 };
  }
  if (rule.test(line)) return { node: element("hr"), end: at + 1 };
  if (depth < depthMax && quote.test(line)) {
    let end = at;
    while (end < lines.length && quote.test(lines[end].text)) end += 1;
    const inner = lines.slice(at, end).map((each) => each.text.replace(quote, "")).join("\n");
    return { node: element("blockquote", {}, blocks(inner, depth + 1).map((block) => block.node)), end };
  }
  if (depth < depthMax && (match = marker.exec(line))) return list(lines, at, depth, match);
  if (line.includes("|") && at + 1 < lines.length && lines[at + 1].text.includes("-") && dashes.test(lines[at + 1].text)) {
    return table(lines, at);
  }
  let end = at + 1;
  while (end < lines.length && lines[end].text.trim() && !interrupts(lines[end].text)) end += 1;
  const words = lines.slice(at, end).map((each) => each.text.trim()).join("\n");
  return { node: element("p", {}, inline(words)), end };
}

// Whether a line ends a paragraph. A number does only if it is 1: others are more often a year at a line's beginning.
function interrupts(line) {
  if (fence.test(line) || heading.test(line) || rule.test(line) || quote.test(line)) return true;
  const match = marker.exec(line);
  return match !== null && match[3] !== "" && (match[2].length === 1 || parseInt(match[2], 10) === 1);
}

function codeBlock(lines, at, match) {
  const code = new Code(match[1], match[2].trim().split(/\s/)[0].slice(0, 32));
  let end = at + 1;
  for (; end < lines.length && !code.isClosed; end += 1) {
    if (code.endsAt(lines[end].text)) code.isClosed = true;
    else code.addLine(lines[end].text);
  }
  return { node: code.node, code, end };
}

function list(lines, at, depth, first) {
  const isOrdered = first[2].length > 1;
  const sign = first[2].at(-1);
  const items = [];
  let end = at;
  let isLoose = false;
  while (end < lines.length) {
    const match = marker.exec(lines[end].text);
    if (!match || match[2].at(-1) !== sign || rule.test(lines[end].text)) break;
    const width = match[1].length + match[2].length + Math.min(4, Math.max(1, match[3].length));
    const inner = [lines[end].text.slice(width)];
    for (end += 1; end < lines.length; end += 1) {
      const line = lines[end].text;
      if (!line.trim()) {
        const next = lines[end + 1]?.text ?? "";
        if (indent(next) >= 2 && next.trim()) {
          inner.push("");
          continue;
        }
        if (marker.exec(next)?.[2].at(-1) === sign) isLoose = true;
        else break;
      } else if (indent(line) >= 2) {
        inner.push(line.slice(Math.min(indent(line), width)));
      } else if (marker.test(line) || interrupts(line) || !lines[end - 1].text.trim()) {
        break;
      } else {
        inner.push(line);
      }
    }
    items.push(inner.join("\n"));
  }
  const made = items.map((item) => {
    const inside = blocks(item, depth + 1).map((block) => block.node);
    // A short item has no paragraph of its own.
    const paragraphs = inside.filter((node) => node.localName === "p");
    if (!isLoose && paragraphs.length === 1 && paragraphs[0] === inside[0]) inside.splice(0, 1, ...inside[0].childNodes);
    return element("li", {}, inside);
  });
  const start = isOrdered ? parseInt(first[2], 10) : 1;
  return { node: element(isOrdered ? "ol" : "ul", { start: start === 1 ? null : String(start) }, made), end };
}

function table(lines, at) {
  const sides = cells(lines[at + 1].text).slice(0, 64).map((cell) =>
    cell.endsWith(":") ? (cell.startsWith(":") ? "middle" : "right") : null);
  const row = (line, tag) =>
    element("tr", {}, cells(line).slice(0, sides.length).map((cell, index) =>
      element(tag, { class: sides[index], scope: tag === "th" ? "col" : null }, inline(cell))));
  let end = at + 2;
  while (end < lines.length && lines[end].text.includes("|")) end += 1;
  const rows = lines.slice(at + 2, end).map((line) => row(line.text, "td"));
  return {
    node: element("div", { class: "wide" }, element(
      "table", {}, element("thead", {}, row(lines[at].text, "th")), element("tbody", {}, rows))),
    end,
  };
}

function cells(line) {
  const text = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return text.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

const link = /!?\[((?:[^[\]\\]|\\.|\[[^[\]]{0,200}\]){0,500})\]\([ \t]*<?([^\s()<>]{0,2000}(?:\([^\s()]{0,200}\)[^\s()<>]{0,2000}){0,8})>?(?:[ \t]+"[^"]{0,200}")?[ \t]*\)/y;
const pointed = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/y;
const bare = /https?:\/\/[^\s<>"'`\\]{1,2000}/y;
const punctuation = /[!-/:-@[-`{-~]/;

/** The nodes of a text within a block. */
function inline(text, depth = 0) {
  const nodes = [];
  let plain = "";
  // Marks that no later mark closes.
  const unclosed = new Set();
  const put = (node, end) => {
    if (plain) nodes.push(plain);
    plain = "";
    nodes.push(node);
    return end;
  };
  for (let at = 0; at < text.length; ) {
    const sign = text[at];
    let match;
    if (sign === "\n") {
      at = put(element("br"), at + 1);
    } else if (sign === "\\" && at + 1 < text.length && punctuation.test(text[at + 1])) {
      plain += text[at + 1];
      at += 2;
    } else if (sign === "`") {
      const run = runAt(text, at);
      const close = unclosed.has(run) ? -1 : closingTicks(text, at + run.length, run);
      if (close < 0) {
        unclosed.add(run);
        plain += run;
        at += run.length;
      } else {
        let code = text.slice(at + run.length, close).replaceAll("\n", " ");
        if (/^ .*[^ ].* $|^ `|` $/.test(code)) code = code.slice(1, -1);
        at = put(element("code", {}, code), close + run.length);
      }
    } else if ((sign === "[" || (sign === "!" && text[at + 1] === "[")) && depth < depthMax && (match = matchAt(link, text, at))) {
      const words = match[1] || match[2];
      at = put(anchor(match[2], inline(words, depthMax), match[0]), at + match[0].length);
    } else if (sign === "<" && (match = matchAt(pointed, text, at))) {
      at = put(anchor(match[1], [match[1]], match[0]), at + match[0].length);
    } else if (sign === "h" && !/\w/.test(text[at - 1] ?? " ") && depth < depthMax && (match = matchAt(bare, text, at))) {
      let address = match[0].replace(/[.,;:!?*_~]+$/, "");
      if (address.endsWith(")") && !address.includes("(")) address = address.slice(0, -1);
      at = put(anchor(address, [address], address), at + address.length);
    } else if ((sign === "*" || sign === "_" || sign === "~") && depth < depthMax) {
      const run = runAt(text, at);
      const mark = run.length > 1 ? sign + sign : sign;
      const inside = at + mark.length;
      const mayOpen = mark !== "~" && !/\s/.test(text[at + run.length] ?? " ") && (sign !== "_" || !/\w/.test(text[at - 1] ?? " "));
      const close = mayOpen && !unclosed.has(mark) ? closing(text, inside, mark) : -1;
      if (close < 0) {
        if (mayOpen) unclosed.add(mark);
        plain += run;
        at += run.length;
      } else {
        const tag = mark === "~~" ? "del" : mark.length === 2 ? "strong" : "em";
        at = put(element(tag, {}, inline(text.slice(inside, close), depth + 1)), close + mark.length);
      }
    } else {
      plain += sign;
      at += 1;
    }
  }
  if (plain) nodes.push(plain);
  return nodes;
}

function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function runAt(text, at) {
  let end = at;
  while (text[end] === text[at]) end += 1;
  return text.slice(at, end);
}

function closingTicks(text, from, run) {
  for (let at = text.indexOf(run, from); at >= 0; ) {
    const found = runAt(text, at);
    if (found.length === run.length) return at;
    at = text.indexOf(run, at + found.length);
  }
  return -1;
}

function closing(text, from, mark) {
  let tick = text.indexOf("`", from);
  for (let at = text.indexOf(mark, from); at >= 0; ) {
    // What is in code closes nothing.
    if (tick >= 0 && tick < at) {
      const run = runAt(text, tick);
      const close = closingTicks(text, tick + run.length, run);
      const end = (close < 0 ? tick : close) + run.length;
      tick = text.indexOf("`", end);
      if (end > at) at = text.indexOf(mark, end);
      continue;
    }
    const run = runAt(text, at);
    const after = text[at + run.length] ?? " ";
    const fits = mark.length === 2 ? run.length >= 2 : run.length !== 2;
    const isClosing = at > from && !/[\s\\]/.test(text[at - 1]) && (mark[0] !== "_" || !/\w/.test(after));
    if (fits && isClosing) return at + run.length - mark.length;
    at = text.indexOf(mark, at + run.length);
  }
  return -1;
}

// A link of a kind that can do nothing but lead elsewhere; any other is the text that it was.
function anchor(address, words, source) {
  let kind = "";
  try {
    kind = new URL(address).protocol;
  } catch {
    // It is no address.
  }
  if (!["http:", "https:", "mailto:"].includes(kind)) return document.createTextNode(source);
  return element("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, words);
}
