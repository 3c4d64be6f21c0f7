// Where conversations are kept: in this browser's IndexedDB. A server that keeps them itself answers /scripts/store.js with a module of the same four functions and `isKept`.
const database = "kidogo", version = 1;
const changes = "BroadcastChannel" in globalThis ? new BroadcastChannel("kidogo.conversations") : null;
const unkept = new Map(); // where the browser keeps nothing: until the page is closed
const opened = open();

/** Whether conversations outlive the page. */
export const isKept = () => opened.then(found => found !== null);

/** What there is, the newest first: id, title, created and updated. With a query, those with it in their title or in a message. */
export async function list(query = "") {
  const wanted = query.trim().toLocaleLowerCase();
  const found = await all(wanted ? "conversations" : "summaries");
  return found.filter(each => !wanted || mentions(each, wanted)).map(summary).sort((one, other) => other.updated - one.updated);
}

/** A conversation, or null. */
export async function load(id) {
  const found = await opened;
  return (found ? await asked(found.transaction("conversations").objectStore("conversations").get(id)) : structuredClone(unkept.get(id))) ?? null;
}

/** Keeps a conversation. Messages that another window has added to it meanwhile stay. */
export async function save(conversation) {
  const found = await opened;
  if (!found) {
    unkept.set(conversation.id, structuredClone(conversation));
    return;
  }
  const work = found.transaction(["conversations", "summaries"], "readwrite");
  const store = work.objectStore("conversations");
  const before = await asked(store.get(conversation.id));
  const own = new Set(conversation.messages.map(message => message.id));
  const others = before?.messages.filter(message => !own.has(message.id)) ?? [];
  store.put({ ...conversation, messages: [...conversation.messages, ...others] });
  work.objectStore("summaries").put(summary(conversation));
  await done(work);
  changes?.postMessage(conversation.id);
}

/** Forgets a conversation. */
export async function remove(id) {
  const found = await opened;
  if (!found) {
    unkept.delete(id);
    return;
  }
  const work = found.transaction(["conversations", "summaries"], "readwrite");
  work.objectStore("conversations").delete(id);
  work.objectStore("summaries").delete(id);
  await done(work);
  changes?.postMessage(id);
}

/** Calls back when another window has changed something. */
export function onChange(listener) {
  changes?.addEventListener("message", listener);
}

const summary = ({ id, title, created, updated }) => ({ id, title, created, updated });

const mentions = (conversation, wanted) =>
  conversation.title.toLocaleLowerCase().includes(wanted) || conversation.messages.some(message => message.text.toLocaleLowerCase().includes(wanted));

async function all(store) {
  const found = await opened;
  return found ? asked(found.transaction(store).objectStore(store).getAll()) : [...unkept.values()];
}

function open() {
  return new Promise(resolve => {
    try {
      const request = indexedDB.open(database, version);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("conversations", { keyPath: "id" });
        request.result.createObjectStore("summaries", { keyPath: "id" });
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(null);
      request.onblocked = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
}

function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function done(work) {
  return new Promise((resolve, reject) => {
    work.oncomplete = () => resolve();
    work.onabort = () => reject(work.error);
  });
}
