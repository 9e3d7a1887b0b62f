// The owner's door of this host: JSON over HTTP, with an owner's key.
import { lines, Secret } from "/page/elements.js";

export const ownerKey = new Secret("hearth-owner-key");

/** Why the host did not do something. */
export class Refusal extends Error {
  constructor(message, status = 0, isOffered = true) {
    super(message);
    // The status code; 0: there was no answer.
    this.status = status;
    // False: the bridge of this host has no such door.
    this.isOffered = isOffered;
  }
}

async function request(method, path, body, options = {}) {
  let response;
  try {
    response = await fetch(`/hearth/v1/${path}`, {
      method,
      headers: {
        authorization: `Bearer ${ownerKey.value}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      ...options,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The host does not answer.");
  }
  if (response.ok) return response;
  let error = {};
  try {
    error = (await response.json()).error;
  } catch {
    // The answer says no more.
  }
  // Only this door names a gRPC status.
  const isOffered = response.status !== 404 || typeof error.status === "string";
  throw new Refusal(error.message ?? `The host answered ${response.status}.`, response.status, isOffered);
}

// A question that is not answered must not keep the connection for ever: a browser has few to one host.
export const get = async (path) =>
  (await request("GET", path, undefined, { signal: AbortSignal.timeout(14_000) })).json();
export const post = async (path, body) => (await request("POST", path, body)).json();
export const remove = async (path) => (await request("DELETE", path)).json();

/** What a pull says, one object at a time. It goes on for as long as this is read. */
export async function* pull(source, signal) {
  const response = await request("POST", "pull", { source }, { signal });
  for await (const group of lines(response.body)) {
    for (const line of group) {
      if (!line.trim()) continue;
      const said = JSON.parse(line);
      if (said.error) throw new Refusal(said.error.message);
      yield said;
    }
  }
}
