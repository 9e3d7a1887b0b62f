// OpenAI's Responses, as the host of this page speaks them. An answer is asked for in the background, so that its host goes
// on with it when the connection is lost, and the page reads on behind the last event that it has.
import { lines, Secret } from "/page/elements.js";

export const accessKey = new Secret("hearth-access-key");

/** Why an answer did not come, or not whole. */
export class Failure extends Error {
  constructor(message, status = 0, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Whether the same question may be answered later: no host was reached, or it cannot answer now. */
  get mayPass() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (accessKey.value) headers.authorization = `Bearer ${accessKey.value}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch {
    throw new Failure("The host cannot be reached. Is it running?");
  }
  if (response.ok) return response;
  let message = `The host answered ${response.status}.`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // The answer says no more.
  }
  throw new Failure(message, response.status, response.headers.get("retry-after"));
}

/** The ids of the models that may be asked for. */
export async function models() {
  const list = await (await ask("/v1/models")).json();
  return list.data.map((model) => model.id);
}

// The host sends something at least every 15 s; a connection on which nothing came for so long is lost, in milliseconds.
const silenceMost = 40_000;
// How often a host that is not reached is tried again: for about as long as it keeps an answer that is over. Counted, because
// a clock goes on while the machine sleeps.
const triesMost = 150;
const pauses = [250, 500, 1000, 2000, 4000];
const goneWords = "The connection was lost, and the host no longer has the rest of this answer. "
  + "It keeps an answer for ten minutes, and not when it is restarted.";

// Ends after the pause before this try, and at once where the network comes back or somebody looks at the page.
function pause(tried) {
  const listening = new AbortController();
  return new Promise((resolve) => {
    setTimeout(resolve, pauses[Math.min(tried, pauses.length - 1)]);
    addEventListener("online", resolve, { signal: listening.signal });
    document.addEventListener("visibilitychange", () => document.hidden || resolve(), { signal: listening.signal });
  }).finally(() => listening.abort());
}

/** One connection on which the events of an answer come. It throws a `Failure` that may pass once it is lost. */
class Connection {
  #control = new AbortController();
  #events;
  // When something came last; until the host has taken a request, it may take its time.
  #heard;
  #watch;

  constructor(path, options = {}, heard = Date.now()) {
    this.#heard = heard;
    const isSilent = () => Date.now() - this.#heard > silenceMost;
    // The clock also tells that the machine has slept.
    this.#watch = setInterval(() => isSilent() && this.close(), 5000);
    addEventListener("online", () => this.#heard < Infinity && this.close(), { signal: this.#control.signal });
    this.opened = ask(path, { ...options, signal: this.#control.signal });
    // Whoever waits for events is told.
    this.opened.catch(() => {});
    this.#events = this.#read();
  }

  async *#read() {
    const response = await this.opened;
    for await (const group of lines(response.body)) {
      this.#heard = Date.now();
      const data = group.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
      const events = data.filter((text) => text !== "[DONE]").map((text) => JSON.parse(text));
      if (events.length) yield events;
    }
  }

  /** The next events, some. */
  async next() {
    try {
      const { done, value } = await this.#events.next();
      if (!done) return value;
    } catch (error) {
      if (error instanceof Failure) throw error;
    }
    throw new Failure("The connection to the host was lost.");
  }

  close() {
    clearInterval(this.#watch);
    this.#control.abort();
  }
}

let isLeaving = false;
addEventListener("pagehide", () => (isLeaving = true));
addEventListener("pageshow", () => (isLeaving = false));

// Has the host compute the answer no more, and forget it; also where this page is about to go.
async function forget(id) {
  // Its end of the connection would come before the browser's, and count as an error.
  const leaving = new Promise((resolve) => addEventListener("pagehide", resolve, { once: true }));
  if (!isLeaving) await Promise.race([leaving, new Promise((resolve) => setTimeout(resolve, 50))]);
  for (let tried = 0; tried < triesMost; tried += 1) {
    try {
      await ask(`/v1/responses/${id}`, { method: "DELETE", keepalive: true });
      return;
    } catch (error) {
      if (!error.mayPass) return;
    }
    await pause(tried);
  }
}

// What an answer's events mean for a message.
class Progress {
  id = null;
  /** The number of the last event that came. */
  number = -1;
  isOver = false;
  /** What the answer failed with. */
  failure = null;
  #calls = [];

  /** The pieces that the events bring; those that have come before bring none. */
  take(events) {
    return events.map((event) => this.#take(event)).filter(Boolean);
  }

  #take(event) {
    if (event.sequence_number <= this.number) return null;
    this.number = event.sequence_number;
    switch (event.type) {
      case "response.created":
        this.id = event.response.id;
        return null;
      case "response.output_text.delta": return { content: event.delta };
      case "response.reasoning_summary_text.delta": return { reasoning: event.delta };
      case "response.output_item.added":
        if (event.item.type !== "function_call") return null;
        this.#calls.push(event.output_index);
        return { call: this.#calls.length - 1, id: event.item.call_id, name: event.item.name };
      case "response.function_call_arguments.delta":
        return { call: this.#calls.indexOf(event.output_index), arguments: event.delta };
      case "response.completed":
      case "response.incomplete": return this.#end(event);
      case "error":
        this.failure = new Failure(event.error.message, 500);
        return null;
      case "response.failed":
        this.isOver = true;
        this.failure ??= new Failure("The host gave this answer up.", 500);
        return null;
      default: return null;
    }
  }

  #end({ type, response: { usage } }) {
    this.isOver = true;
    const isCut = type === "response.incomplete";
    return {
      end: isCut ? "length" : this.#calls.length ? "tool_calls" : "stop",
      usage: {
        prompt_tokens: usage.input_tokens,
        completion_tokens: usage.output_tokens,
        prompt_tokens_details: { cached_tokens: usage.input_tokens_details.cached_tokens },
      },
    };
  }
}

/**
 * The pieces of an answer, in groups as they come: `content`, `reasoning`, or those of a `call`, which has its `id` and `name`
 * first and its `arguments` then; the last piece has the `end` and the `usage`. It ends without an error only when the
 * answer is whole. `tell` is told that the connection is lost, and that there is one again. Whoever gives the `signal`, or
 * reads no more, has the answer computed no more. Nothing is kept at the host once it is over.
 */
export async function* answer(body, signal, tell) {
  const progress = new Progress();
  const options = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...body, background: true, stream: true }),
  };
  let connection = new Connection("/v1/responses", options, Infinity);
  let isForgotten = false;
  const leave = () => {
    connection.close();
    if (!isForgotten) forget(progress.id);
    isForgotten = true;
  };
  const first = connection.next().then((events) => {
    // Whoever stopped meanwhile could not say what.
    if (signal.aborted) progress.id = events[0].response.id;
    if (signal.aborted) leave();
    return events;
  });
  const stopped = new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      if (progress.id) leave();
      reject(signal.reason);
    });
  });
  stopped.catch(() => {});
  first.catch(() => {});
  const unlessStopped = (work) => Promise.race([work, stopped]);

  // Behind the last event that came, on another connection.
  async function comeBack() {
    tell(true);
    for (let tried = 0; tried < triesMost; tried += 1) {
      await unlessStopped(pause(tried));
      connection = new Connection(`/v1/responses/${progress.id}?stream=true&starting_after=${progress.number}`);
      try {
        await unlessStopped(connection.opened);
        tell(false);
        return await unlessStopped(connection.next());
      } catch (error) {
        connection.close();
        if (error.status === 404) {
          isForgotten = true;
          throw new Failure(goneWords, 404);
        }
        if (!error.mayPass) throw error;
        tell(true);
      }
    }
    throw new Failure("The connection to the host was lost, and it was not reached again.");
  }

  try {
    let events = await unlessStopped(first);
    while (true) {
      const pieces = progress.take(events);
      if (pieces.length) yield pieces;
      if (progress.isOver && progress.failure) throw progress.failure;
      if (progress.isOver) return;
      try {
        events = await unlessStopped(connection.next());
      } catch (error) {
        connection.close();
        if (!error.mayPass) throw error;
        events = await comeBack();
      }
    }
  } finally {
    if (progress.id) leave();
    else if (!signal.aborted) connection.close();
  }
}
