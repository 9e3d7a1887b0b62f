// This host, for its owner: what runs, what it takes, who may ask, and the way to have the machine back.
import { byId, bytes, count, element, plural, rate, say, setText, span } from "/page/elements.js";
import { AccessKeys } from "/page/keys.js";
import { get, ownerKey, post, pull } from "/page/owner.js";
import { Plot } from "/page/plot.js";
import { joined, row, Rows } from "/page/rows.js";
import { TurnTable } from "/page/turns.js";

const pollMilliseconds = 1000;
// What changes seldom is asked for each so many polls.
const seldom = 10;

export class Host {
  #timer = 0;
  #isShown = false;
  #polls = 0;
  // The last state, and when it came.
  #status = null;
  #before = null;
  #parts = null;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#isShown && !document.hidden && this.#poll());
  }

  show() {
    this.#isShown = true;
    if (ownerKey.value) this.#poll();
    else this.#askForKey();
  }

  hide() {
    this.#isShown = false;
    clearTimeout(this.#timer);
    byId("ember").className = "ember";
  }

  // The door.

  #askForKey(flaw) {
    this.#parts = null;
    clearTimeout(this.#timer);
    const field = element("input", { type: "password", autocomplete: "off", spellcheck: "false", required: true, id: "owner-key", "aria-describedby": "owner-flaw" });
    const keep = element("input", { type: "checkbox", id: "owner-remember" });
    byId("host-content").replaceChildren(element(
      "form", {
        class: "door",
        onsubmit: (event) => {
          event.preventDefault();
          ownerKey.set(field.value.trim(), keep.checked);
          this.#poll();
        },
      },
      element("h2", {}, "For this host’s owner"),
      element("p", {}, "See what runs on this machine, and have it back at any time. That takes an owner’s key, which only the owner’s command line makes:"),
      element("pre", {}, element("code", {}, "hearth key create --owner NAME")),
      element("label", {}, "Owner’s key", field),
      element("label", { class: "check" }, keep, "Remember it in this browser"),
      element("p", { id: "owner-flaw", class: flaw ? "broken" : "", role: "alert" }, flaw ?? ""),
      element("button", { class: "main-button" }, "Open")));
    if (flaw) field.focus();
  }

  #refuse(text) {
    this.#parts = null;
    byId("host-content").replaceChildren(element(
      "div", { class: "door" }, element("h2", {}, "For this host’s owner"), element("p", { class: "broken", role: "alert" }, text)));
  }

  // Polling.

  async #poll() {
    clearTimeout(this.#timer);
    if (!this.#isShown || document.hidden || !ownerKey.value) return;
    this.#timer = setTimeout(() => this.#poll(), 15_000);
    try {
      const status = await get("status");
      const isSeldom = this.#polls % seldom === 0;
      this.#polls += 1;
      const [models, turns, keys, limits] = await Promise.all([
        get("models"), get("turns"), isSeldom ? this.#allKeys() : null, isSeldom ? get("limits") : null,
      ]);
      if (!this.#isShown) return;
      if (!this.#parts) this.#build();
      this.#take(status, models, turns, keys, limits);
    } catch (error) {
      if (error.status === 401 || error.status === 403) {
        ownerKey.set("", false);
        this.#askForKey(error.status === 403 ? `This is no owner’s key: ${error.message}` : error.message);
        return;
      }
      if (error.isOffered === false) {
        this.#refuse("This host’s bridge does not offer this. ‘hearth status’ and ‘hearth pause’ do the same on its command line.");
        return;
      }
      if (!this.#parts) this.#refuse(error.message);
      else this.#miss(error.message);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#poll(), pollMilliseconds);
  }

  async #allKeys() {
    const keys = [];
    let token = "";
    do {
      const page = await get(`keys?page_size=500${token ? `&page_token=${encodeURIComponent(token)}` : ""}`);
      keys.push(...page.keys);
      token = page.next_page_token;
    } while (token && keys.length < 5000);
    return keys;
  }

  #miss(text) {
    const { stale } = this.#parts;
    stale.hidden = false;
    setText(stale, `${text} What stands here is from ${new Date(this.#before.time).toLocaleTimeString()}.`);
    byId("host").classList.add("is-stale");
  }

  // The page.

  #build() {
    const parts = (this.#parts = {});
    parts.stale = element("p", { class: "broken", role: "alert", hidden: true });
    parts.flaw = element("p", { class: "broken", role: "alert", hidden: true });
    parts.state = element("h2", { class: "state", tabindex: "-1" });
    parts.sentence = element("p", { class: "sentence" });
    parts.unload = element("input", { type: "checkbox", id: "give-memory-back" });
    parts.hold = element("button", { type: "button", class: "hold", id: "hold", onclick: () => this.#hold() });
    parts.other = element("button", { type: "button", class: "quiet", onclick: () => this.#holdOtherwise() });
    parts.unloadLabel = element("label", { class: "check" }, parts.unload, "also give memory back");
    parts.rate = new Plot("Tokens per second", rate);
    parts.queue = new Plot("Requests that wait", (number) => count(Math.round(number)));
    parts.memory = new Plot("Memory of backends", bytes);
    parts.turns = new TurnTable();
    parts.models = new Rows(element("ul", { class: "rows" }), "There are no models yet.", () => this.#modelRow());
    parts.pulls = new Rows(element("ul", { class: "rows" }), "", () => this.#pullRow());
    parts.pulls.empty.hidden = true;
    parts.backends = new Rows(element("ul", { class: "rows" }), "There are no backends.", () => this.#backendRow());
    parts.keys = new AccessKeys((...work) => this.#act(...work));
    parts.limits = new Rows(element("ul", { class: "rows small" }), "", () => this.#limitRow());
    parts.sandbox = element("p", { class: "hint" });
    parts.about = element("p", { class: "hint" });
    const section = (title, ...children) => element("section", { class: "panel" }, element("h2", {}, title), children);
    byId("host-content").replaceChildren(
      parts.stale, parts.flaw,
      element("section", { class: "hero", "aria-label": "State" },
        element("div", {}, parts.state, parts.sentence),
        element("div", { class: "hand" }, parts.hold, element("p", { class: "actions" }, parts.unloadLabel, parts.other))),
      element("section", { class: "plots", "aria-label": "The last hour" }, parts.rate.node, parts.queue.node, parts.memory.node),
      section("For whom", parts.turns.node),
      element("div", { class: "panels" },
        section("Models", parts.models.node, parts.pulls.node, this.#pullForm()),
        section("Backends in their sandboxes", parts.sandbox, parts.backends.node),
        section("Access keys", parts.keys.nodes),
        section("Limits", element("details", {}, element("summary", {}, "All limits in force"), parts.limits.node))),
      element("footer", { class: "about" }, parts.about, element("button", { type: "button", class: "quiet", onclick: () => this.#leave() }, "Forget the owner’s key")));
  }

  #leave() {
    ownerKey.set("", false);
    this.hide();
    this.#isShown = true;
    this.#askForKey();
    byId("owner-key").focus();
  }

  #take(status, models, turns, keys, limits) {
    const parts = this.#parts;
    parts.stale.hidden = true;
    byId("host").classList.remove("is-stale");
    const now = { time: Date.now(), tokens: Number(status.tokens_sent), pid: status.pid };
    const { backends } = status;
    const running = backends.reduce((sum, each) => sum + each.running, 0);
    // Who waits does so for a model, whichever of its processes it gets.
    const waitingOf = new Map(backends.map((each) => [each.name + "\n" + each.model, each.waiting]));
    const waiting = [...waitingOf.values()].reduce((sum, each) => sum + each, 0);
    const memory = backends.reduce((sum, each) => sum + Number(each.memory_bytes), 0);
    let speed = 0;
    if (this.#before?.pid === now.pid && now.time > this.#before.time) {
      speed = Math.max(0, ((now.tokens - this.#before.tokens) * 1000) / (now.time - this.#before.time));
    }
    if (this.#before?.pid === now.pid) parts.rate.add(speed);
    parts.queue.add(waiting);
    parts.memory.add(memory);
    this.#before = now;
    this.#status = status;

    const hold = status.hold ?? { pause: "", draining: false };
    const inMemory = backends.filter((each) => each.pid !== 0).length;
    const took = memory ? `${plural(inMemory, "process", "processes")} of backends ${inMemory === 1 ? "has" : "have"} ${bytes(memory)} of memory` : "Nothing is in memory";
    if (hold.pause) {
      setText(parts.state, "The machine is yours.");
      setText(parts.sentence, hold.pause === "unloaded"
        ? "Nothing computes, and memory is given back. Requests wait."
        : `Nothing computes. ${took}.${running ? ` ${plural(running, "request")} stand${running === 1 ? "s" : ""} still, and can go on.` : ""}`);
    } else if (running) {
      setText(parts.state, `${plural(running, "request")} ${running === 1 ? "is" : "are"} running.`);
      const models = [...new Set(backends.filter((each) => each.running).map((each) => each.model))];
      setText(parts.sentence, joined(
        `${rate(speed)} tokens/s`, models.join(", "), waiting ? `${count(waiting)} waiting` : null));
    } else {
      setText(parts.state, waiting ? `Nothing is running; ${plural(waiting, "request")} wait${waiting === 1 ? "s" : ""}.` : "Nothing is running.");
      setText(parts.sentence, `${took}. ${plural(status.turns_finished, "answer")} given since the start.`);
    }
    if (hold.draining && !hold.pause) parts.sentence.append(" New requests are refused.");
    setText(parts.hold, hold.pause ? "Lend the machine again" : "Take the machine back");
    parts.hold.classList.toggle("is-held", hold.pause !== "");
    parts.unloadLabel.hidden = hold.pause !== "";
    parts.other.hidden = hold.pause === "unloaded";
    setText(parts.other, hold.pause ? "Also give memory back"
      : hold.draining ? "Take new requests again" : "Finish what runs, take nothing new");
    byId("ember").className = `ember ${hold.pause ? "held" : running ? "burning" : ""}`;

    parts.models.update(models.models, (model) => model.id);
    parts.turns.update(turns);
    parts.pulls.update(models.pulls, (each) => each.source);
    setText(parts.sandbox, status.sandbox_tier ? `The weakest sandbox that runs is of the tier “${status.sandbox_tier}”.` : "No backend runs.");
    parts.backends.update(backends, (each) => `${each.name}\n${each.model}\n${each.replica}`);
    if (keys) parts.keys.update(keys);
    if (limits) {
      const met = limits.limits.toSorted((one, other) => (other.times_met ?? 0) - (one.times_met ?? 0));
      parts.limits.update(met, (limit) => limit.name);
    }
    setText(parts.about, joined(
      `Hearth ${status.version}`, `process ${status.pid}`, `up ${span(Number(status.uptime_milliseconds))}`,
      status.listeners.map((each) => `${each.address} (${each.security})`).join(", ")));
  }

  // What the owner does.

  async #act(button, work, done) {
    const { flaw } = this.#parts;
    flaw.hidden = true;
    button.setAttribute("aria-disabled", "true");
    try {
      const answer = await work();
      say(done);
      return answer;
    } catch (error) {
      flaw.hidden = false;
      setText(flaw, error.message);
      flaw.scrollIntoView({ block: "nearest" });
    } finally {
      button.removeAttribute("aria-disabled");
      this.#polls = 0;
      this.#poll();
    }
    return null;
  }

  #hold() {
    const { hold, unload } = this.#parts;
    if (hold.getAttribute("aria-disabled")) return;
    if (this.#status.hold?.pause) this.#act(hold, () => post("resume", {}), "The machine is lent again.");
    else this.#act(hold, () => post("pause", { unload: unload.checked }), "The machine is yours. Nothing computes.");
  }

  #holdOtherwise() {
    const { other } = this.#parts;
    if (other.getAttribute("aria-disabled")) return;
    const { pause, draining } = this.#status.hold ?? {};
    if (pause) this.#act(other, () => post("pause", { unload: true }), "Memory is given back.");
    else if (draining) this.#act(other, () => post("resume", {}), "New requests are taken.");
    else this.#act(other, () => post("drain", {}), "No new requests are taken.");
  }

  #button(text, name, work, done) {
    const button = element("button", { type: "button", class: "quiet", "aria-label": `${text} ${name}` }, text);
    button.addEventListener("click", () => button.getAttribute("aria-disabled") || this.#act(button, work, done));
    return button;
  }

  // Rows.

  #modelRow() {
    let made;
    let model;
    const path = (verb) => `models/${encodeURIComponent(model.id)}/${verb}`;
    const progress = element("progress", { max: "1", hidden: true });
    return {
      get node() {
        return made.node;
      },
      update: (entry) => {
        model = entry;
        if (!made) {
          made = row(model.id,
            this.#button("Load", model.id, () => post(path("load")), `${model.id} is loaded.`),
            this.#button("Unload", model.id, () => post(path("unload"), { now: false }), `${model.id} is given up.`));
          made.more.append(progress);
        }
        setText(made.facts, joined(
          model.state + (model.detail ? `: ${model.detail}` : ""), model.running ? `${count(model.running)} running` : null,
          model.waiting ? `${count(model.waiting)} waiting` : null,
          model.memory_bytes ? `${bytes(model.memory_bytes)} in memory` : model.file_bytes ? `${bytes(model.file_bytes)} on disk` : null,
          model.context_tokens ? `${count(model.context_tokens)} tokens of context` : null,
          model.unload_in_milliseconds !== undefined ? `unloaded in ${span(model.unload_in_milliseconds)}` : null));
        progress.hidden = model.loaded_fraction === undefined || model.state !== "loading";
        progress.value = model.loaded_fraction ?? 0;
        progress.setAttribute("aria-label", `Loading ${model.id}`);
        const [load, unload] = made.node.querySelectorAll("button");
        load.hidden = !["unloaded", "stopped", "failed"].includes(model.state);
        unload.hidden = !model.is_on_demand || !["ready", "loading", "starting"].includes(model.state);
      },
    };
  }

  #pullRow() {
    const bar = element("progress");
    const made = row("");
    made.more.append(bar);
    return {
      node: made.node,
      update: (each) => {
        setText(made.node.querySelector("h3"), each.source);
        const total = Number(each.total_bytes);
        const done = Number(each.done_bytes);
        setText(made.facts, joined(each.state, total ? `${bytes(done)} of ${bytes(total)}` : null));
        bar.setAttribute("aria-label", `Fetching ${each.source}`);
        if (total) {
          bar.max = total;
          bar.value = done;
        } else {
          bar.removeAttribute("value");
        }
      },
    };
  }

  #pullForm() {
    const source = element("input", { required: true, placeholder: "docker.io/ai/smollm2", spellcheck: "false", autocomplete: "off" });
    const line = element("p", { class: "hint", role: "status" });
    const button = element("button", {}, "Fetch");
    let abort = null;
    return element(
      "form", {
        class: "line",
        onsubmit: async (event) => {
          event.preventDefault();
          if (abort) return abort.abort();
          abort = new AbortController();
          setText(button, "Stop");
          let last = null;
          try {
            for await (last of pull(source.value.trim(), abort.signal)) {
              if (last.event !== "downloading") setText(line, joined(last.event, last.text.split("\n")[0]));
            }
            if (last?.event === "done") {
              setText(line, `${last.name || last.model} is here.`);
              source.value = "";
            } else if (last?.event === "failed") {
              setText(line, `It failed: ${last.text}`);
            } else {
              setText(line, "It ended before it was whole. Fetch it again to go on.");
            }
          } catch (error) {
            setText(line, error.name === "AbortError" ? "Stopped. Fetch it again to go on." : error.message);
          }
          abort = null;
          setText(button, "Fetch");
          return undefined;
        },
      },
      element("label", {}, "Fetch a model", source), button, line);
  }

  #backendRow() {
    let made;
    let shown = -1;
    const layers = element("p", { class: "hint" });
    const denied = element("ul", { class: "denied" });
    const risks = element("ul", { class: "denied" });
    const more = element("details", {}, element("summary", {}, "Sandbox"), layers, denied, risks);
    return {
      get node() {
        return made.node;
      },
      update: (each) => {
        made ??= row(each.name, this.#button("Restart", each.name, () => post(`backends/${encodeURIComponent(each.name)}/restart`, { now: false }), `${each.name} is started anew.`));
        setText(made.node.querySelector("h3"), joined(each.name, each.model === each.name ? null : each.model, each.replica ? `process ${each.replica}` : null));
        if (!more.isConnected) made.more.append(more);
        setText(made.facts, joined(
          each.state + (each.detail ? `: ${each.detail}` : ""), each.sandbox_tier ? `tier ${each.sandbox_tier}` : null,
          each.pid ? `${count(each.running)} of ${count(each.max_sequences)} running` : null,
          Number(each.memory_bytes) ? `${bytes(Number(each.memory_bytes))} of at most ${bytes(Number(each.memory_max_bytes))}` : null,
          Number(each.tokens) ? plural(Number(each.tokens), "token") : null,
          each.restarts ? plural(each.restarts, "restart") : null));
        const calls = Number(each.denied_calls);
        setText(more.firstChild, calls ? `Sandbox: ${plural(calls, "system call")} denied` : "Sandbox: nothing was denied");
        setText(layers, joined(each.policy ? `policy ${each.policy}` : null, each.sandbox_layers.length ? each.sandbox_layers.join(", ") : "no process runs"));
        const texts = each.residual_risks.map((risk) => `What remains possible: ${risk.exposure}. What helps: ${risk.remedy}.`);
        if (risks.children.length !== texts.length) risks.replaceChildren(...texts.map((text) => element("li", {}, text)));
        if (calls !== shown) {
          shown = calls;
          if (calls) this.#showDenied(each, denied);
          else denied.replaceChildren();
        }
      },
    };
  }

  async #showDenied(backend, list) {
    try {
      const { calls } = await get(`denied/${encodeURIComponent(backend.name)}`);
      list.replaceChildren(...calls
        .filter((call) => call.model === backend.model && call.replica === backend.replica)
        .map((call) => element("li", {},
          element("code", {}, call.name + (call.argument ? `(${call.argument})` : "")), ` ${count(Number(call.count))}×`,
          call.meaning ? `: ${call.meaning}` : "")));
    } catch {
      // The next change asks again.
    }
  }

  #limitRow() {
    const made = row("");
    return {
      node: made.node,
      update: (limit) => {
        setText(made.node.querySelector("h3"), limit.name);
        setText(made.facts, joined(
          `${count(Number(limit.value))} ${limit.unit}`.trim(),
          limit.times_met ? `met ${plural(Number(limit.times_met), "time")}` : null, limit.meaning));
      },
    };
  }
}
