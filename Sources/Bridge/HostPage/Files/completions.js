// OpenAI's protocol, as the host of this page speaks it.
import { lines, Secret } from "/page/elements.js";

export const accessKey = new Secret("hearth-access-key");

/** Why an answer did not come, or not whole. */
export class Failure extends Error {
  constructor(message, status = 0, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (accessKey.value) headers.authorization = `Bearer ${accessKey.value}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
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

/**
 * The chunks of a streamed answer, in groups as they come. It ends without an error only when the answer is whole: one
 * that stops before its [DONE] is broken off.
 */
export async function* complete(body, signal) {
  const response = await ask("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  let isWhole = false;
  try {
    for await (const group of lines(response.body)) {
      const chunks = [];
      let failure;
      for (const line of group) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") {
          isWhole = true;
          continue;
        }
        const chunk = JSON.parse(data);
        if (chunk.error) failure = new Failure(chunk.error.message);
        else chunks.push(chunk);
      }
      if (chunks.length) yield chunks;
      if (failure) throw failure;
    }
  } catch (error) {
    if (error instanceof Failure || error.name === "AbortError") throw error;
    throw new Failure("The connection to the host was lost.");
  }
  if (!isWhole) throw new Failure("The host ended the answer before it was whole.");
}
