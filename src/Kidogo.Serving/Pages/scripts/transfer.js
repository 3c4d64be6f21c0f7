// Conversations as a file, out and in. What comes in may be anybody's: every field is checked and only known ones are taken, or the file is refused whole.
import { newId } from "./conversation.js";

const format = "kidogo-conversations", version = 1;
const mostBytes = 64 * 1024 * 1024, mostConversations = 10_000, mostMessages = 20_000, mostText = 2_000_000, mostShort = 300;
const latest = 8.64e15; // what a date can be

/** A file that is not taken in. `key` is its reason, in the dictionary. */
export class TransferError extends Error {
  constructor(key, values = {}) {
    super(key);
    this.key = key;
    this.values = values;
  }
}

/** The text of a file with conversations. */
export function write(conversations) {
  return JSON.stringify({ format, version, exported: new Date().toISOString(), conversations }, null, 1);
}

/** The conversations of a file. */
export async function read(file) {
  if (file.size > mostBytes) {
    throw new TransferError("importTooLarge", { most: mostBytes / 1024 / 1024 });
  }
  let content;
  try {
    content = JSON.parse(await file.text());
  } catch {
    throw new TransferError("importNoJson");
  }
  if (content?.format !== format || !Array.isArray(content.conversations)) {
    throw new TransferError("importOther");
  }
  if (content.version !== version) {
    throw new TransferError("importVersion");
  }
  if (content.conversations.length > mostConversations) {
    throw new TransferError("importTooMany", { most: mostConversations });
  }
  const ids = new Set();
  return content.conversations.map((each, index) => {
    try {
      const taken = conversation(each);
      return ids.size === ids.add(taken.id).size ? asCopy(taken) : taken;
    } catch (failure) {
      throw failure instanceof TransferError ? failure : new TransferError("importMalformed", { place: index + 1, field: failure.message });
    }
  });
}

/** A conversation beside the one that has its name already. */
export const asCopy = conversation => ({ ...conversation, id: newId() });

/** Whether two conversations say the same. */
export function areEqual(one, other) {
  const content = each => JSON.stringify([each.title, settings(each.settings), each.messages.map(message => [message.id, message.parent, message.role, message.text])]);
  return content(one) === content(other);
}

function conversation(given) {
  need(isObject(given), "conversation");
  const messages = array(given, "messages", mostMessages);
  const places = new Map();
  const taken = messages.map(each => {
    const read = message(each);
    // A parent comes before its children, so there is no circle.
    need(!places.has(read.id) && (read.parent === null || places.has(read.parent)), "parent");
    places.set(read.id, read);
    return read;
  });
  const isChild = (id, parent) => id === null || places.get(id)?.parent === parent;
  const next = given.next === null ? null : identifier(given, "next");
  need(isChild(next, null), "next");
  for (const each of taken) {
    need(isChild(each.next, each.id), "next");
  }
  return {
    id: identifier(given, "id"),
    title: text(given, "title", mostShort),
    created: number(given, "created", 0, latest),
    updated: number(given, "updated", 0, latest),
    model: optional(given, "model", text, mostShort) ?? "",
    settings: settings(given.settings ?? {}),
    next,
    messages: taken,
  };
}

function message(given) {
  need(isObject(given), "message");
  need(given.role === "user" || given.role === "assistant", "role");
  const taken = {
    id: identifier(given, "id"),
    parent: given.parent === null ? null : identifier(given, "parent"),
    next: given.next === null ? null : identifier(given, "next"),
    created: number(given, "created", 0, latest),
    role: given.role,
    text: text(given, "text", mostText),
  };
  const more = {
    reasoning: optional(given, "reasoning", text, mostText),
    model: optional(given, "model", text, mostShort),
    finish: optional(given, "finish", text, 20),
    servedBy: optional(given, "servedBy", text, mostShort),
    servedWhy: optional(given, "servedWhy", text, mostText),
    servedModel: optional(given, "servedModel", text, mostShort),
    answerId: optional(given, "answerId", text, mostShort),
    promptTokens: optional(given, "promptTokens", number, 0, 1e9),
    tokens: optional(given, "tokens", number, 0, 1e9),
    perSecond: optional(given, "perSecond", number, 0, 1e9),
  };
  return Object.assign(taken, Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined)));
}

function settings(given) {
  need(isObject(given), "settings");
  const taken = {};
  for (const name of ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens", "seed"]) {
    const value = optional(given, name, number, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    if (value !== undefined) {
      taken[name] = value;
    }
  }
  taken.system = optional(given, "system", text, mostText) ?? "";
  taken.thinking = ["on", "off"].includes(given.thinking) ? given.thinking : "";
  return taken;
}

const isObject = value => typeof value === "object" && value !== null && !Array.isArray(value);

function need(holds, field) {
  if (!holds) {
    throw new RangeError(field);
  }
}

function optional(given, field, read, ...limits) {
  return given[field] === undefined || given[field] === null ? undefined : read(given, field, ...limits);
}

function text(given, field, most) {
  need(typeof given[field] === "string" && given[field].length <= most, field);
  return given[field];
}

function identifier(given, field) {
  need(typeof given[field] === "string" && /^[\w-]{1,64}$/.test(given[field]), field);
  return given[field];
}

function number(given, field, least, most) {
  need(typeof given[field] === "number" && given[field] >= least && given[field] <= most, field);
  return given[field];
}

function array(given, field, most) {
  need(Array.isArray(given[field]) && given[field].length <= most, field);
  return given[field];
}
