// Access keys: who may ask this host, and within which limits.
import { copy, count, element, plural, setText } from "/page/elements.js";
import { post, remove } from "/page/owner.js";
import { joined, row, Rows } from "/page/rows.js";

export class AccessKeys {
  #act;
  #made = element("div", { class: "made", hidden: true });
  #rows = new Rows(element("ul", { class: "rows" }), "There are no keys.", () => this.#keyRow());

  /** `act(button, work, done)` does what a button says, and returns its answer. */
  constructor(act) {
    this.#act = act;
    this.nodes = [this.#made, this.#rows.node, this.#keyForm()];
  }

  update(keys) {
    this.#rows.update(keys, (key) => key.name);
  }

  #keyRow() {
    let made;
    return {
      get node() {
        return made.node;
      },
      update: (key) => {
        if (!made) {
          const revoke = element("button", { type: "button", class: "quiet", "aria-label": `Revoke ${key.name}` }, "Revoke");
          revoke.addEventListener("click", () => {
            const isSure = element("button", { type: "button", "aria-label": `Really revoke ${key.name}: its calls end at once` }, "Really revoke");
            isSure.addEventListener("click", () => this.#act(isSure, () => remove(`keys/${encodeURIComponent(key.name)}`), `${key.name} is revoked.`));
            isSure.addEventListener("blur", () => isSure.isConnected && isSure.replaceWith(revoke));
            revoke.replaceWith(isSure);
            isSure.focus();
          });
          made = row(key.name, revoke);
        }
        setText(made.facts, joined(
          key.is_owner ? "an owner’s key, without inference" : null,
          key.expires_milliseconds === undefined ? "for ever" : `${key.is_expired ? "ended" : "until"} ${new Date(Number(key.expires_milliseconds)).toLocaleDateString()}`,
          key.streams === undefined ? null : `${plural(key.streams, "call")} at once`,
          key.tokens_per_minute === undefined ? null : `${count(Number(key.tokens_per_minute))} tokens a minute`,
          key.share > 1 ? `a share of ${count(key.share)}` : null,
          key.priority && key.priority !== "normal" ? `at most ${key.priority} priority` : null,
          key.is_owner ? null : key.models.length ? key.models.join(", ") : "all models"));
      },
    };
  }

  #keyForm() {
    const field = (properties) => element("input", { autocomplete: "off", spellcheck: "false", ...properties });
    const name = field({ required: true, pattern: "[A-Za-z0-9._\\-]{1,64}", title: "letters, digits, '.', '_' and '-'" });
    const days = field({ type: "number", min: "1", step: "1", placeholder: "for ever" });
    const streams = field({ type: "number", min: "1", step: "1", placeholder: "no limit" });
    const tokens = field({ type: "number", min: "1", step: "1", placeholder: "no limit" });
    const share = field({ type: "number", min: "1", max: "1000", step: "1", placeholder: "1", id: "key-share" });
    const priority = element("select", { id: "key-priority" },
      ["low", "normal", "high"].map((each) => element("option", { selected: each === "normal" }, each)));
    const models = field({ placeholder: "all" });
    const button = element("button", {}, "Make a key");
    return element("details", {}, element("summary", {}, "Make a key for a consumer"), element(
      "form", {
        class: "fields",
        onsubmit: async (event) => {
          event.preventDefault();
          const body = { name: name.value };
          if (days.value) body.expires_in_seconds = days.valueAsNumber * 86_400;
          if (streams.value) body.streams = streams.valueAsNumber;
          if (tokens.value) body.tokens_per_minute = tokens.valueAsNumber;
          if (share.value) body.share = share.valueAsNumber;
          if (priority.value !== "normal") body.priority = priority.value;
          const ids = models.value.split(",").map((id) => id.trim()).filter(Boolean);
          if (ids.length) body.models = ids;
          const made = await this.#act(button, () => post("keys", body), "The key is made.");
          if (!made) return;
          event.target.reset();
          this.#showSecret(body.name, made.secret);
        },
      },
      element("label", {}, "Name", name), element("label", {}, "Days", days), element("label", {}, "Calls at once", streams),
      element("label", {}, "Tokens a minute", tokens), element("label", {}, "Share while others wait", share),
      element("label", {}, "Highest priority", priority), element("label", {}, "Models, with commas between", models), button));
  }

  #showSecret(name, secret) {
    const made = this.#made;
    const hide = () => {
      made.hidden = true;
      made.replaceChildren();
    };
    const button = element("button", { type: "button", class: "main-button" }, "Copy");
    button.addEventListener("click", () => copy(secret, button));
    made.replaceChildren(
      element("p", {}, `The key “${name}”, shown this once:`), element("code", { class: "secret" }, secret),
      element("p", { class: "actions" }, button, element("button", { type: "button", class: "quiet", onclick: hide }, "I have it")));
    made.hidden = false;
    button.focus();
  }
}
