// One answer of a model, as it is shown and as it is kept.
import { count, copy, element, plural, rate, say, setText } from "/page/elements.js";
import { Markdown } from "/page/markdown.js";

/** Why an answer ended, for people; null where it is whole. */
function ending(message) {
  switch (message.end) {
    case "broken": return `This answer broke off: ${message.error}`;
    case "failed": return message.error;
    case "stopped": return "You stopped this answer.";
    case "length": return "This answer reached the most tokens that it may have.";
    case "open": return "This answer broke off: the page was closed.";
    default: return null;
  }
}

export class AnswerView {
  #message;
  #actions;
  #markdown;
  #pending = "";
  #drawn = 0;
  #frame = 0;
  #timer = 0;
  #onDraw;
  #body = element("div", { class: "prose" });
  #reasoning = element("details", { class: "reasoning", hidden: true });
  #reasoningText = element("div", { class: "reasoning-text" });
  #calls = element("div", { class: "calls" });
  #foot = element("footer");
  #waitingFor = element("span", {}, "Waiting for the first token");
  #waiting = element("p", { class: "waiting" }, element("span", { class: "ember burning", "aria-hidden": "true" }), this.#waitingFor);
  #patience = 0;
  #lost = element(
    "p", { class: "waiting lost" }, element("span", { class: "ember burning", "aria-hidden": "true" }),
    "The connection to the host is lost; the page tries to come back and read on");

  /** `actions` are what may be done with the answer: `retry`, `continue` and `results`, functions. */
  constructor(message, actions, onDraw = () => {}) {
    this.#message = message;
    this.#actions = actions;
    this.#onDraw = onDraw;
    this.#reasoning.append(element("summary", {}, "Reasoning"), this.#reasoningText);
    this.node = element(
      "article", { class: "message answer", "aria-label": `Answer of ${message.model || "the model"}` },
      element("h2", { class: "who" }, message.model || "Model"),
      this.#reasoning, this.#body, this.#calls, this.#foot);
    this.#markdown = new Markdown(this.#body, (text) => this.#isLive && say(text.slice(0, 2000)));
    if (message.reasoning) this.#drawReasoning();
    if (message.content) this.#markdown.add(message.content);
    this.#drawCalls();
  }

  #isLive = false;

  /** Begins to take pieces. */
  begin() {
    this.#isLive = true;
    this.node.setAttribute("aria-busy", "true");
    if (!this.#message.content) this.node.insertBefore(this.#waiting, this.#foot);
    this.#patience = setTimeout(() => {
      setText(this.#waitingFor, "Still waiting: the host is busy, loads the model, or is paused by its owner");
      if (this.#waiting.isConnected) say(this.#waitingFor.textContent);
    }, 8000);
  }

  /** Takes what has been added to the message: it is drawn with the next frames. */
  take(piece) {
    const message = this.#message;
    if (piece.content) {
      message.content += piece.content;
      this.#pending += piece.content;
    }
    if (piece.reasoning) message.reasoning = (message.reasoning ?? "") + piece.reasoning;
    if (piece.call !== undefined) {
      message.calls ??= [];
      const call = (message.calls[piece.call] ??= { id: piece.id, name: piece.name, arguments: "" });
      call.arguments += piece.arguments ?? "";
    }
    this.#schedule();
  }

  /** The connection is lost, and comes back by itself; or there is one again. */
  lose(isLost) {
    if (this.#lost.isConnected === isLost) return;
    if (isLost) this.node.insertBefore(this.#lost, this.#foot);
    else this.#lost.remove();
    say(isLost ? this.#lost.textContent : "Connected again.");
    this.#onDraw();
  }

  #schedule() {
    if (this.#frame || this.#timer) return;
    const wait = this.#markdown.pause - (performance.now() - this.#drawn);
    if (wait > 16) {
      this.#timer = setTimeout(() => {
        this.#timer = 0;
        this.#schedule();
      }, wait);
    } else {
      this.#frame = requestAnimationFrame(() => this.#draw());
    }
  }

  #draw() {
    this.#frame = 0;
    const message = this.#message;
    if (message.content || message.reasoning || message.calls) this.#waiting.remove();
    if (message.reasoning) this.#drawReasoning();
    if (this.#pending) {
      this.#markdown.add(this.#pending);
      this.#pending = "";
    }
    this.#drawCalls();
    this.#drawn = performance.now();
    this.#onDraw();
  }

  #drawReasoning() {
    this.#reasoning.hidden = false;
    const text = this.#message.reasoning;
    const shown = this.#reasoningText.textContent.length;
    // It only grows.
    if (text.length > shown) this.#reasoningText.append(text.slice(shown));
  }

  #drawCalls() {
    for (const [index, call] of (this.#message.calls ?? []).entries()) {
      const node = this.#calls.children[index] ?? this.#calls.appendChild(element(
        "section", { class: "call", "aria-label": "Call of a tool" },
        element("h3", {}, "Calls ", element("code")), element("pre", {}, element("code"))));
      setText(node.querySelector("h3 code"), call.name);
      setText(node.querySelector("pre code"), call.arguments);
    }
  }

  /** Nothing more comes: shows how it ended, what it cost, and what may be done. */
  end(isLast) {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    clearTimeout(this.#patience);
    this.#timer = 0;
    this.#draw();
    this.#markdown.end();
    this.#isLive = false;
    this.node.removeAttribute("aria-busy");
    this.#waiting.remove();
    this.#lost.remove();
    this.showFoot(isLast);
  }

  showFoot(isLast) {
    const message = this.#message;
    const ended = ending(message);
    const parts = [];
    const { usage } = message;
    if (usage) {
      parts.push(plural(usage.completion_tokens, "token"));
      if (usage.completion_tokens > 1 && message.seconds > 0) {
        parts.push(`${rate((usage.completion_tokens - 1) / message.seconds)} tokens/s`);
      }
      if (message.firstSeconds !== undefined) parts.push(`first after ${message.firstSeconds.toFixed(1)} s`);
      const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
      parts.push(`prompt ${count(usage.prompt_tokens)}${cached ? `, ${count(cached)} of it cached` : ""}`);
    }
    const buttons = [];
    const add = (text, action) => buttons.push(element("button", { type: "button", class: "quiet", onclick: action }, text));
    const awaitsResults = isLast && message.end === "tool_calls" && message.calls?.length > 0;
    const isBroken = ["broken", "failed", "open"].includes(message.end);
    if (message.content) buttons.push(this.#copyButton());
    if (isLast) {
      add("Retry", this.#actions.retry);
      if (message.content && ["broken", "stopped", "length", "open"].includes(message.end)) add("Continue", this.#actions.continue);
    }
    this.#foot.replaceChildren(...[
      ended && element("p", { class: isBroken ? "broken" : "note" }, ended),
      awaitsResults && this.#resultsForm(),
      element("div", { class: "facts" }, element("span", {}, parts.join(" · ")), element("span", { class: "actions" }, buttons)),
    ].filter(Boolean));
  }

  #copyButton() {
    const button = element("button", { type: "button", class: "quiet" }, "Copy");
    button.addEventListener("click", () => copy(this.#message.content, button));
    return button;
  }

  // The person is the tool: what its calls gave is written here.
  #resultsForm() {
    const fields = this.#message.calls.map((call) => element("textarea", { rows: "2", spellcheck: "false" }));
    return element(
      "form", {
        class: "results",
        onsubmit: (event) => {
          event.preventDefault();
          this.#actions.results(fields.map((field) => field.value));
        },
      },
      this.#message.calls.map((call, index) => element("label", {}, `Result of ${call.name}`, fields[index])),
      element("button", {}, "Send results"));
  }
}
