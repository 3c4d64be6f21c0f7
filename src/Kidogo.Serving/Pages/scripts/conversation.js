// A conversation is a tree of messages: an edited question and a second answer are branches beside the first. Knows no screen and no server.

const mostTitle = 60;

/** A name that no other thing has. (Browsers have randomUUID on HTTPS and this machine only.) */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, "0")).join("");
}

/** A conversation without messages. `next` of the conversation, and of each message, is the branch that is shown. */
export function create(model, settings) {
  const now = Date.now();
  return { id: newId(), title: "", created: now, updated: now, model, settings, next: null, messages: [] };
}

/** A title out of the first words of a text. */
export function titleOf(text) {
  const line = text.trim().split("\n", 1)[0].replace(/\s+/g, " ");
  const characters = Array.from(line);
  return characters.length > mostTitle ? characters.slice(0, mostTitle - 1).join("").trimEnd() + "…" : line;
}

/** The messages that are shown, from the first on. */
export function path(conversation) {
  const byId = new Map(conversation.messages.map(message => [message.id, message]));
  const shown = [];
  for (let message = byId.get(conversation.next); message; message = byId.get(message.next)) {
    shown.push(message);
  }
  return shown;
}

/** The messages up to one of them. */
export function pathTo(conversation, last) {
  const shown = path(conversation);
  return shown.slice(0, shown.indexOf(last) + 1);
}

/** A message and those that stand beside it. */
export function siblings(conversation, message) {
  return conversation.messages.filter(other => other.parent === message.parent);
}

/** Adds a message after another (null: at the beginning), and shows it. */
export function add(conversation, parent, message) {
  const added = { id: newId(), parent: parent?.id ?? null, next: null, created: Date.now(), ...message };
  conversation.messages.push(added);
  (parent ?? conversation).next = added.id;
  return added;
}

/** Takes a message without successors away; what stood beside it last is shown instead. */
export function drop(conversation, message) {
  conversation.messages = conversation.messages.filter(other => other !== message);
  parentOf(conversation, message).next = siblings(conversation, message).at(-1)?.id ?? null;
}

/** What a message follows: a message, or the conversation itself. */
export function parentOf(conversation, message) {
  return conversation.messages.find(other => other.id === message.parent) ?? conversation;
}

/** Shows the branch beside a message: -1 for the one before, 1 for the one after. */
export function turn(conversation, message, step) {
  const all = siblings(conversation, message);
  const other = all[all.indexOf(message) + step];
  if (other) {
    parentOf(conversation, message).next = other.id;
  }
  return other ?? message;
}

/** Messages as the server reads them. Reasoning is not sent back: models are trained not to see it again. */
export function forServer(conversation, messages) {
  const system = conversation.settings.system?.trim();
  const sent = system ? [{ role: "system", content: system }] : [];
  for (const { role, text } of messages) {
    if (sent.at(-1)?.role === role) {
      sent.at(-1).content += `\n\n${text}`; // a question that got no answer: many templates want turns to alternate
    } else {
      sent.push({ role, content: text });
    }
  }
  return sent;
}
