// For whom this host computes: a table of the requests that run and wait.
import { count, element, plural, rate, setText, span } from "/page/elements.js";
import { Rows } from "/page/rows.js";

const shownMax = 100;
const tasks = { embed: "vectors", rerank: "scores" };

export class TurnTable {
  #more = element("p", { class: "hint", hidden: true });
  #rows = new Rows(
    element("tbody"), element("tr", {}, element("td", { colspan: "3", class: "hint" }, "Nothing runs, and nobody waits.")),
    () => turnRow());

  constructor() {
    const heads = ["For", "State", "Tokens"].map((text) => element("th", { scope: "col", class: text === "Tokens" ? "right" : "" }, text));
    this.node = element("div", { class: "turns" },
      element("table", { id: "turns" },
        element("caption", { class: "unseen" }, "Requests that run and wait, and for whom they are"),
        element("thead", {}, element("tr", {}, heads)), this.#rows.node),
      this.#more);
  }

  /** Takes an answer to `turns`. */
  update({ turns, count: all }) {
    const shown = turns.slice(0, shownMax);
    this.#rows.update(shown, (turn) => turn.number);
    this.#more.hidden = all <= shown.length;
    setText(this.#more, `And ${plural(all - shown.length, "more request")}.`);
  }
}

function turnRow() {
  const [name, about] = [element("span", { class: "name" }), element("span", { class: "hint" })];
  const [state, time] = [element("span"), element("span", { class: "hint" })];
  const [tokens, speed] = [element("span"), element("span", { class: "hint" })];
  return {
    node: element("tr", {},
      element("th", { scope: "row" }, name, about), element("td", {}, state, time), element("td", { class: "right" }, tokens, speed)),
    update: (turn) => {
      setText(name, turn.caller_kind === "none" ? turn.caller || "without a key" : turn.caller);
      setText(about, [
        { key: "key", certificate: "certificate", none: turn.caller ? "without a key" : "" }[turn.caller_kind],
        turn.through === "http" ? "over HTTP" : "gRPC", turn.model, tasks[turn.task],
        turn.is_absent ? "connection lost, may come back" : "", turn.choices > 1 ? `${count(turn.choices)} choices` : "", turn.priority === "normal" ? "" : `${turn.priority} priority`,
      ].filter(Boolean).join(" · "));
      setText(state, turn.state === "waiting" ? (turn.position ? `waits, ${count(turn.position)} before it` : "waits, is next") : turn.state);
      setText(time, `came ${span(turn.age_milliseconds)} ago`);
      const writes = turn.task === "generate";
      setText(tokens, writes ? count(turn.tokens) : "–");
      setText(speed, writes && turn.tokens ? `${rate(turn.tokens_per_second)} a second` : "");
    },
  };
}
