// The chat: conversations with the models that this host lends.
import { AnswerView } from "/page/answer.js";
import * as conversations from "/page/conversations.js";
import { byId, element, plural, say, setText } from "/page/elements.js";
import { accessKey, answer, models } from "/page/responses.js";

const numbers = ["temperature", "top_p", "max_tokens", "seed"];

// A tool as Responses have it, of one as they or chat completions do.
const flat = (tool) => (tool?.function ? { ...tool.function, type: tool.type } : tool);

/** A part of the page that stands beside the rest where there is room, and else opens over it. */
function besides(part, place, dialog, opener, query) {
  const room = matchMedia(query);
  const settle = () => {
    if (dialog.open) dialog.close();
    (room.matches ? place : dialog).append(part);
    place.hidden = !room.matches;
    opener.hidden = room.matches;
  };
  const close = element("button", { type: "button", class: "quiet close", onclick: () => dialog.close() }, "Close");
  dialog.append(close);
  opener.addEventListener("click", () => dialog.showModal());
  // Beside the dialog is its backdrop.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  room.addEventListener("change", settle);
  settle();
}

export class Chat {
  #conversation = conversations.create();
  #last = null;
  #abort = null;
  // The end of the answer that is under way.
  #running = Promise.resolve();
  #isLeaving = false;
  #isFollowing = true;
  #titles = [];
  // What the list of titles was drawn from.
  #listed = "";

  constructor() {
    besides(byId("history"), byId("history-place"), byId("history-dialog"), byId("show-history"), "(min-width: 60rem)");
    besides(byId("settings"), byId("settings-place"), byId("settings-dialog"), byId("show-settings"), "(min-width: 88rem)");
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#abort) this.#stop();
      else this.#send();
    });
    byId("prompt").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.#abort) this.#send();
    });
    byId("prompt").addEventListener("input", () => this.#fit(byId("prompt")));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#abort && !document.querySelector("dialog[open]")) this.#stop();
    });
    byId("scroll").addEventListener("scroll", () => this.#follow(), { passive: true });
    byId("to-end").addEventListener("click", () => {
      this.#toEnd();
      byId("prompt").focus();
    });
    byId("new").addEventListener("click", () => this.#open(conversations.create(this.#conversation)));
    byId("model").addEventListener("change", () => {
      this.#conversation.model = byId("model").value;
      this.#keep();
    });
    for (const name of ["system", "tools", ...numbers]) {
      byId(name).addEventListener("change", () => this.#readSettings());
    }
    byId("access").value = accessKey.value;
    byId("access-remember").checked = accessKey.isRemembered;
    byId("access-form").addEventListener("submit", (event) => {
      event.preventDefault();
      accessKey.set(byId("access").value.trim(), byId("access-remember").checked);
      byId("settings-dialog").close();
      this.#loadModels();
    });
    // Nobody reads the answer any more; a page that comes back from the browser's memory has it as far as it was.
    addEventListener("pagehide", () => {
      this.#isLeaving = true;
      this.#abort?.abort();
    });
    addEventListener("pageshow", () => (this.#isLeaving = false));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && !byId("chat").hidden) this.#loadModels();
    });
    this.#draw();
    this.#begin();
  }

  async #begin() {
    await this.#list();
    const last = this.#titles[0] && (await conversations.read(this.#titles[0].id).catch(() => null));
    // Whoever was quicker has begun another one.
    if (last && !this.#conversation.messages.length) this.#open(last, false);
  }

  show(isFirst) {
    this.#loadModels();
    if (!isFirst || matchMedia("(hover: hover)").matches) byId("prompt").focus();
    if (this.#isFollowing) this.#toEnd();
    byId("ember").classList.toggle("burning", this.#abort !== null);
  }

  hide() {}

  async #loadModels() {
    let found;
    try {
      found = await models();
    } catch (error) {
      this.#complain(error);
      return;
    }
    byId("complaint")?.remove();
    const select = byId("model");
    const wanted = this.#conversation.model;
    if (wanted && !found.includes(wanted)) found.unshift(wanted);
    if (found.join("\n") !== [...select.options].map((option) => option.value).join("\n")) {
      select.replaceChildren(...found.map((id) => element("option", { value: id }, id)));
    }
    if (!found.length) this.#complain(new Error("This host lends no model yet. Its owner can fetch one under “This host”."));
    select.value = wanted || found[0] || "";
  }

  // What keeps the page from being used is said where the messages are.
  #complain(error) {
    const node = element("p", { id: "complaint", class: "broken", role: "alert" }, error.message);
    if (error.status === 401) {
      const toKey = () => {
        if (!byId("show-settings").hidden) byId("settings-dialog").showModal();
        byId("access").focus();
      };
      node.append(" ", element("button", { type: "button", onclick: toKey }, "Enter a key"));
    }
    const there = byId("complaint");
    if (there?.firstChild?.data === error.message) return;
    there?.remove();
    byId("messages").append(node);
  }

  // Conversations.

  async #list() {
    this.#titles = await conversations.titles().catch(() => []);
    const drawn = JSON.stringify([this.#conversation.id, this.#titles.map((title) => [title.id, title.title])]);
    if (drawn === this.#listed) return;
    this.#listed = drawn;
    byId("titles").replaceChildren(...this.#titles.map((title) => {
      const open = async () => {
        const found = await conversations.read(title.id);
        if (found) this.#open(found);
        else this.#list();
      };
      const isOpen = title.id === this.#conversation.id;
      return element("li", {}, element(
        "button", { type: "button", "aria-current": isOpen ? "true" : null, onclick: open }, title.title || "Untitled"),
        isOpen && element(
          "p", { class: "actions" },
          element("button", { type: "button", class: "quiet", onclick: () => this.#rename() }, "Rename"),
          element("button", { type: "button", class: "quiet", onclick: () => this.#export() }, "Export"),
          element("button", { type: "button", class: "quiet", onclick: () => this.#delete() }, "Delete")));
    }));
  }

  #open(conversation, takeFocus = true) {
    this.#stop();
    this.#conversation = conversation;
    for (const message of conversation.messages) message.end ??= message.role === "assistant" ? "open" : undefined;
    if (takeFocus) byId("history-dialog").close();
    const { settings } = conversation;
    byId("system").value = settings.system ?? "";
    byId("tools").value = settings.tools ?? "";
    for (const name of numbers) byId(name).value = settings[name] ?? "";
    setText(byId("settings-error"), "");
    if (conversation.model && [...byId("model").options].some((option) => option.value === conversation.model)) {
      byId("model").value = conversation.model;
    } else {
      this.#loadModels();
    }
    this.#draw();
    this.#list();
    this.#toEnd();
    if (takeFocus) byId("prompt").focus();
  }

  async #keep() {
    if (!this.#conversation.messages.length) return;
    this.#conversation.updated = Date.now();
    try {
      const gone = await conversations.keep(this.#conversation);
      if (gone) say(`${plural(gone, "old conversation")} made way for this one.`);
    } catch (error) {
      this.#complain(error);
    }
    await this.#list();
  }

  #rename() {
    this.#ask("The name of this conversation", this.#conversation.title, "Rename", async (title) => {
      this.#conversation.title = title.trim().slice(0, 200);
      await this.#keep();
      byId("titles").querySelector("[aria-current]")?.focus();
    });
  }

  #delete() {
    const { id, title } = this.#conversation;
    this.#ask(`Delete “${title}” from this browser?`, null, "Delete", async () => {
      await this.#stop();
      await conversations.remove(id);
      this.#open(conversations.create(this.#conversation));
      say("The conversation is deleted.");
    });
  }

  // Asks in a dialog: for a text, where `value` is one.
  #ask(question, value, verb, act) {
    const field = value === null ? null : element("input", { value, "aria-label": question });
    const dialog = element(
      "dialog", { class: "question", "aria-label": question, onclose: () => dialog.remove() },
      element(
        "form", { method: "dialog" }, element("p", {}, question), field,
        element("p", { class: "actions" },
          element("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Cancel"),
          element("button", { class: "main-button", onclick: () => act(field?.value) }, verb))));
    byId("chat").append(dialog);
    dialog.showModal();
    field?.select();
  }

  #export() {
    const text = JSON.stringify(this.#conversation, null, 2);
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const name = this.#conversation.title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60) || "conversation";
    element("a", { href: address, download: `${name}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  // Settings.

  #readSettings() {
    const settings = { system: byId("system").value, tools: byId("tools").value };
    for (const name of numbers) {
      if (byId(name).value !== "") settings[name] = byId(name).valueAsNumber;
    }
    this.#conversation.settings = settings;
    setText(byId("settings-error"), this.#flaw() ?? "");
    this.#keep();
  }

  // What is wrong with the settings.
  #flaw() {
    for (const name of numbers) {
      if (!byId(name).checkValidity()) return `${byId(name).labels[0].firstChild.data}: ${byId(name).validationMessage}`;
    }
    if (!byId("tools").value.trim()) return null;
    try {
      return Array.isArray(JSON.parse(byId("tools").value)) ? null : "Tools: this is no list.";
    } catch (error) {
      return `Tools: ${error.message}`;
    }
  }

  // Messages.

  #draw() {
    const { messages } = this.#conversation;
    this.#last = null;
    const nodes = messages.map((message, index) => {
      if (message.role !== "assistant") return this.#said(message, index);
      const view = this.#answer(message, index);
      view.end(index === messages.length - 1);
      this.#last = view;
      return view.node;
    });
    if (!nodes.length) {
      nodes.push(element("p", { class: "empty" }, "Ask the models on this machine. What you write goes to no other place."));
    }
    byId("messages").replaceChildren(...nodes);
  }

  #answer(message, index) {
    return new AnswerView(message, {
      retry: () => this.#again(index),
      continue: () => this.#run(message),
      results: (texts) => {
        const results = message.calls.map((call, each) => ({ role: "tool", tool_call_id: call.id, name: call.name, content: texts[each] }));
        this.#say(results);
      },
    }, () => this.#isFollowing && this.#toEnd());
  }

  #said(message, index) {
    const isTool = message.role === "tool";
    const edit = element("button", { type: "button", class: "quiet", onclick: () => this.#edit(message, index, node) }, "Edit");
    const node = element(
      "article", { class: "message said", "aria-label": isTool ? `Result of ${message.name}` : "You" },
      element("h2", { class: "who" }, isTool ? `Result of ${message.name}` : "You"),
      element("div", { class: "words" }, message.content),
      element("footer", {}, element("span", { class: "actions" }, edit)));
    return node;
  }

  #edit(message, index, node) {
    const field = element("textarea", { value: message.content, "aria-label": "Edit the message", rows: "2" });
    const form = element(
      "form", { class: "edit" }, field,
      element("p", { class: "actions" },
        element("button", { type: "button", class: "quiet", onclick: () => cancel() }, "Cancel"),
        element("button", { class: "main-button" }, "Send again")));
    const parts = [...node.childNodes].slice(1);
    const cancel = () => {
      form.replaceWith(...parts);
      node.querySelector("footer button").focus();
    };
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        cancel();
      } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target === field) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      await this.#stop();
      message.content = field.value;
      this.#again(index + 1);
    });
    field.addEventListener("input", () => this.#fit(field));
    for (const part of parts) part.remove();
    node.append(form);
    this.#fit(field);
    field.focus();
  }

  // Answers anew what stands before the message at `index`, which goes with all that follow it.
  #again(index) {
    this.#conversation.messages.length = index;
    this.#draw();
    this.#run();
  }

  #send() {
    const text = byId("prompt").value;
    if (!text.trim()) return;
    byId("prompt").value = "";
    this.#fit(byId("prompt"));
    this.#say([{ role: "user", content: text }]);
  }

  #say(messages) {
    const all = this.#conversation.messages;
    this.#conversation.title ||= messages[0].content.trim().replace(/\s+/g, " ").slice(0, 60);
    byId("messages").querySelector(".empty")?.remove();
    this.#last?.showFoot(false);
    for (const message of messages) {
      all.push(message);
      byId("messages").append(this.#said(message, all.length - 1));
    }
    this.#isFollowing = true;
    this.#run();
  }

  async #stop() {
    this.#abort?.abort();
    await this.#running;
  }

  // What the host is asked: only what was set is sent.
  #body() {
    const { settings, messages } = this.#conversation;
    const input = [];
    for (const message of messages) {
      const { role, content } = message;
      if (role === "tool") input.push({ type: "function_call_output", call_id: message.tool_call_id, output: content });
      // An answer that failed before its first word is none.
      else if (role === "user" || content) input.push({ role, content });
      for (const call of message.calls ?? []) {
        input.push({ type: "function_call", call_id: call.id, name: call.name, arguments: call.arguments });
      }
    }
    const body = { model: this.#conversation.model, input };
    if (settings.system) body.instructions = settings.system;
    for (const name of numbers) {
      if (settings[name] !== undefined) body[name === "max_tokens" ? "max_output_tokens" : name] = settings[name];
    }
    if (settings.tools?.trim()) body.tools = JSON.parse(settings.tools).map(flat);
    return body;
  }

  // Has the model answer; `begun` is an answer that it goes on with.
  async #run(begun) {
    await this.#stop();
    this.#running = this.#receive(begun);
  }

  async #receive(begun) {
    const flaw = this.#flaw();
    if (flaw) {
      setText(byId("settings-error"), flaw);
      this.#complain(new Error(flaw));
      return;
    }
    byId("complaint")?.remove();
    const conversation = this.#conversation;
    // Before the list of models has come, that of the conversation is meant.
    conversation.model = byId("model").value || conversation.model;
    const body = this.#body();
    const message = begun ?? { role: "assistant", model: conversation.model, content: "" };
    for (const name of ["end", "error", "usage", "seconds", "firstSeconds"]) delete message[name];
    if (!begun) conversation.messages.push(message);
    const view = this.#answer(message, conversation.messages.indexOf(message));
    if (begun) this.#last.node.replaceWith(view.node);
    else byId("messages").append(view.node);
    this.#last = view;
    this.#abort = new AbortController();
    this.#showRunning(true);
    view.begin();
    this.#toEnd();
    this.#keep();
    say("The model answers.");

    const asked = performance.now();
    let kept = asked;
    let first;
    try {
      for await (const pieces of answer(body, this.#abort.signal, (isLost) => view.lose(isLost))) {
        for (const piece of pieces) {
          if (piece.end) {
            Object.assign(message, piece);
          } else {
            first ??= performance.now();
            view.take(piece);
          }
        }
        // A page that is closed meanwhile has most of it.
        if (performance.now() - kept > 5000) {
          kept = performance.now();
          conversations.keep(conversation).catch(() => {});
        }
      }
    } catch (error) {
      const isStopped = error.name === "AbortError";
      message.end = isStopped ? (this.#isLeaving ? "open" : "stopped") : message.content || message.calls ? "broken" : "failed";
      message.error = error.message + (error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "");
      if (error.status === 401) this.#complain(error);
    }
    if (first !== undefined) {
      message.firstSeconds = (first - asked) / 1000;
      message.seconds = (performance.now() - first) / 1000;
    }
    this.#abort = null;
    view.end(message === conversation.messages.at(-1));
    this.#showRunning(false);
    if (conversation !== this.#conversation) {
      conversations.keep(conversation).catch(() => {});
      return;
    }
    if (this.#isFollowing) this.#toEnd();
    await this.#keep();
    say({ stopped: "Stopped.", broken: "The answer broke off.", failed: message.error }[message.end]
      ?? `The answer is whole${message.usage ? `: ${plural(message.usage.completion_tokens, "token")}` : ""}.`);
  }

  #showRunning(isRunning) {
    setText(byId("send"), isRunning ? "Stop" : "Send");
    if (!byId("chat").hidden) byId("ember").classList.toggle("burning", isRunning);
  }

  // The page follows the end while it is in view.

  #follow() {
    const scroll = byId("scroll");
    this.#isFollowing = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 48;
    byId("to-end").hidden = this.#isFollowing;
  }

  #toEnd() {
    byId("scroll").scrollTop = byId("scroll").scrollHeight;
  }

  // As high as its text.
  #fit(field) {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
  }
}
