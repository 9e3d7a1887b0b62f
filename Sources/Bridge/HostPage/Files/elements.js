// Makes elements, and the words for numbers. Text reaches the document as text only.

/** An element. Of `properties`, those that begin with "on" are listeners; `children` are nodes and texts. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  fill(made, properties, children);
  return made;
}

const svgNamespace = "http://www.w3.org/2000/svg";

/** The same for a picture. */
export function shape(tag, properties = {}, ...children) {
  const made = document.createElementNS(svgNamespace, tag);
  fill(made, properties, children);
  return made;
}

function fill(made, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) made.append(child);
  }
}

export const byId = (id) => document.getElementById(id);

/** Sets a text only where it changes, so that nothing is drawn or spoken anew. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Has a screen reader say this when it has said what it is saying. */
export function say(text) {
  byId("spoken").replaceChildren(element("p", {}, text));
}

const whole = new Intl.NumberFormat("en");
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const count = (number) => whole.format(number);
export const plural = (number, one, many = one + "s") => `${whole.format(number)} ${number === 1 ? one : many}`;
export const rate = (number) => (number < 10 ? tenths.format(number) : whole.format(Math.round(number)));

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let index = 0;
  while (number >= 1024 && index < units.length - 1) {
    number /= 1024;
    index += 1;
  }
  return `${rate(number)} ${units[index]}`;
}

/** A span of time in milliseconds, in its two largest units. */
export function span(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/**
 * The lines of a body as they come, in groups. It reads on at once, because what has come and was not read is gone when
 * the connection breaks.
 */
export async function* lines(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (let piece; !(piece = await reader.read()).done; ) {
      const whole = (rest + decoder.decode(piece.value, { stream: true })).split("\n");
      rest = whole.pop();
      yield whole;
    }
    if (rest) yield [rest];
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** A secret that this page keeps while the tab is open, or longer where the user asks for that. */
export class Secret {
  constructor(name) {
    this.name = name;
  }

  get value() {
    return sessionStorage.getItem(this.name) ?? localStorage.getItem(this.name) ?? "";
  }

  get isRemembered() {
    return localStorage.getItem(this.name) !== null;
  }

  set(value, remember) {
    sessionStorage.removeItem(this.name);
    localStorage.removeItem(this.name);
    if (value) (remember ? localStorage : sessionStorage).setItem(this.name, value);
  }
}

/** Copies a text; on the button it says whether that worked. */
export async function copy(text, button) {
  const label = button.textContent;
  let isCopied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Where the page has not come safely there is no clipboard but this one.
    const field = element("textarea", { class: "unseen" });
    field.value = text;
    document.body.append(field);
    field.select();
    isCopied = document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.textContent = isCopied ? "Copied" : "Not copied";
  say(button.textContent);
  setTimeout(() => (button.textContent = label), 1600);
}
