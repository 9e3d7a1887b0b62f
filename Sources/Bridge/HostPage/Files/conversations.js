// The conversations that this browser keeps, in a database of this page's own.

/** What is kept at most; beyond it the conversations go that were not touched for longest. */
export const most = { conversations: 200, characters: 16_000_000, charactersEach: 4_000_000 };

let opening;

function database() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("hearth", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("conversations", { keyPath: "id" });
      // What the list shows, without reading the conversations.
      request.result.createObjectStore("titles", { keyPath: "id" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

async function run(mode, work) {
  const open = await database();
  return new Promise((resolve, reject) => {
    const transaction = open.transaction(["conversations", "titles"], mode);
    const request = work(transaction.objectStore("conversations"), transaction.objectStore("titles"));
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

export function create(from = {}) {
  return {
    id: crypto.getRandomValues(new Uint32Array(4)).join("-"),
    title: "",
    updated: Date.now(),
    model: from.model ?? "",
    settings: { ...from.settings },
    messages: [],
  };
}

/** Titles, those touched last first. */
export async function titles() {
  const all = await run("readonly", (_, titles) => titles.getAll());
  return all.sort((one, other) => other.updated - one.updated);
}

export const read = (id) => run("readonly", (conversations) => conversations.get(id));

export const remove = (id) =>
  run("readwrite", (conversations, titles) => {
    conversations.delete(id);
    titles.delete(id);
  });

/** Keeps a conversation. Returns how many others had to go for it; throws when it is too long to be kept. */
export async function keep(conversation) {
  const characters = JSON.stringify(conversation).length;
  if (characters > most.charactersEach) throw new Error("This conversation is too long to be kept in the browser.");
  const { id, title, updated } = conversation;
  await run("readwrite", (conversations, titles) => {
    conversations.put(conversation);
    titles.put({ id, title, updated, characters });
  });
  let sum = 0;
  const gone = (await titles()).filter((each, index) => {
    sum += each.characters;
    return each.id !== id && (index >= most.conversations || sum > most.characters);
  });
  for (const each of gone) await remove(each.id);
  return gone.length;
}
