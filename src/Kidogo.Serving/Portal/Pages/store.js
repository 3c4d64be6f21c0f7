// Where conversations are kept: on the server, for who is logged in. It answers in the place of the chat page's own store, with the same functions.
import { headers } from "./brand.js";

const place = "/portal/api/conversations";
const revisions = new Map(); // what this window last saw of each
const changes = "BroadcastChannel" in globalThis ? new BroadcastChannel("kidogo.conversations") : null;

/** Whether conversations outlive the page. */
export const isKept = async () => true;

/** What there is, the newest first: id, title, created and updated. With a query, those with it in their title or in a message. */
export async function list(query = "") {
  const all = [];
  for (let next = ""; next !== null;) {
    const page = await (await asked(`?query=${encodeURIComponent(query.trim().slice(0, 200))}&before=${encodeURIComponent(next)}`)).json();
    all.push(...page.conversations);
    next = page.next;
  }
  return all;
}

/** A conversation, or null. */
export async function load(id) {
  const response = await asked(`/${encodeURIComponent(id)}`, {}, [404]);
  if (response.status === 404) {
    revisions.delete(id);
    return null;
  }
  revisions.set(id, response.headers.get("ETag"));
  return response.json();
}

/** Keeps a conversation. Messages that another window has added to it meanwhile stay. */
export async function save(conversation) {
  let own = conversation;
  for (;;) {
    const response = await asked(`/${encodeURIComponent(conversation.id)}`, { method: "PUT", body: JSON.stringify(own), headers: { "If-Match": revisions.get(conversation.id) ?? "\"0\"" } }, [412]);
    if (response.ok) {
      revisions.set(conversation.id, `"${(await response.json()).revision}"`);
      changes?.postMessage(conversation.id);
      return;
    }
    const other = await load(conversation.id);
    const known = new Set(conversation.messages.map(message => message.id));
    own = { ...conversation, messages: [...conversation.messages, ...(other?.messages ?? []).filter(message => !known.has(message.id))] };
  }
}

/** Forgets a conversation. */
export async function remove(id) {
  await asked(`/${encodeURIComponent(id)}`, { method: "DELETE" }, [404]);
  revisions.delete(id);
  changes?.postMessage(id);
}

/** Calls back when another window has changed something. */
export function onChange(listener) {
  changes?.addEventListener("message", listener);
}

async function asked(path, options = {}, expected = []) {
  const response = await fetch(place + path, { ...options, headers: { "Content-Type": "application/json", ...headers, ...options.headers } });
  if (response.status === 401) {
    location.assign("/login");
  }
  if (!response.ok && !expected.includes(response.status)) {
    throw new Error((await response.json().catch(() => null))?.error?.message ?? `HTTP ${response.status}`);
  }
  return response;
}
