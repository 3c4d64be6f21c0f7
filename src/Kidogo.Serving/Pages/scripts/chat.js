// The chat page: what happens when something is pressed. Everything else is in a module of its own.
import * as brand from "./brand.js";
import * as composer from "./composer.js";
import * as tree from "./conversation.js";
import { Conversations } from "./conversations.js";
import { ask, byId, element } from "./dom.js";
import { Messages } from "./messages.js";
import * as notices from "./notices.js";
import * as preferences from "./preferences.js";
import * as server from "./server.js";
import * as settings from "./settings.js";
import { Shell } from "./shell.js";
import * as store from "./store.js";
import * as words from "./words.js";

const { t } = words;
const mostTries = 4, mostSaid = 800, saveEvery = 2000;

let conversation = null; // null: nothing written yet
let draft = settings.defaults(); // of the conversation that is to come
let running = null; // {message, controller} while an answer is written
let served = []; // the models
const properties = new Map(); // of models, by name
const removed = new Set(); // conversations that are not to be kept again

await words.load();
const messages = new Messages({ edit, again, turn, rate });
const conversations = new Conversations({
  removed: id => {
    removed.add(id);
    if (conversation?.id === id) {
      startNew();
    }
  },
  renamed: (id, title) => {
    if (conversation?.id === id) {
      conversation.title = title;
      showTitle();
    }
  },
  told: (text, isError) => notices.tell(text, { isError }),
});
const shell = new Shell({
  startNew, stop, isRunning: () => running !== null,
  openSettings: () => openSettings(),
  languageChanged: async name => {
    try {
      await words.load(name);
      showAll();
    } catch {
      tellFailure(new server.Failure("offline"), () => words.load(name).then(showAll));
    }
  },
  modelChanged: model => {
    preferences.set("model", model);
    if (conversation) {
      conversation.model = model;
      keep(conversation);
    }
    learn(model);
  },
});
composer.listen({ onSend: send, onStop: stop, editLast });
byId("delete-all").addEventListener("click", () => conversations.removeAll());
addEventListener("hashchange", () => {
  if (location.hash.slice(1) !== (conversation?.id ?? "")) {
    openFromAddress();
  }
});
await Promise.all([loadModels(), openFromAddress()]);
if (!(await store.isKept())) {
  notices.tell(t("notKept"));
}

/** Shows what the address names: a conversation, or a new one. */
async function openFromAddress() {
  const id = location.hash.slice(1);
  stop();
  conversation = id ? await store.load(id) : null;
  draft = settings.defaults();
  notices.clear();
  shell.closeSidebar();
  showAll();
  messages.toEnd();
  if (id && !conversation) {
    history.replaceState(null, "", location.pathname);
  }
}

function startNew() {
  stop();
  conversation = null;
  draft = settings.defaults();
  if (location.hash) {
    history.pushState(null, "", location.pathname);
  }
  notices.clear();
  shell.closeSidebar();
  showAll();
  composer.focus();
}

function showAll() {
  const shown = conversation ? tree.path(conversation) : [];
  byId("welcome").hidden = shown.length > 0;
  messages.takesFeedback = properties.get(model())?.takesFeedback ?? false;
  if (conversation) {
    messages.show(conversation, shown, running?.message);
  } else {
    messages.show(null, []);
  }
  showTitle();
  showSuggestions();
  conversations.mark(conversation?.id ?? "");
  shell.showWords();
  shell.showModels(served, conversation?.model || preferences.get("model"));
  shell.showUsage(shown.findLast(message => message.tokens > 0), context());
  conversations.refresh();
}

function showTitle() {
  document.title = conversation?.title ? `${conversation.title} – ${brand.name}` : brand.name;
  byId("title").textContent = conversation?.title || brand.name;
}

function showSuggestions() {
  byId("suggestions").replaceChildren(...[1, 2, 3, 4].map(which => {
    const text = t(`suggestion${which}`);
    return element("li", {}, element("button", { type: "button", on: { click: () => send(text) } }, text));
  }));
}

function model() {
  return byId("model").value;
}

function context() {
  return properties.get(model())?.context ?? served.find(each => each.id === model())?.context ?? null;
}

async function loadModels() {
  try {
    await findModels();
    if (served.length === 0) {
      notices.tell(t("noModel"), { isError: true });
    }
  } catch (failure) {
    tellFailure(failure, loadModels);
  }
}

async function findModels() {
  served = (await server.models()).filter(each => each.type === "decoder");
  shell.showModels(served, conversation?.model || preferences.get("model"));
  await learn(model());
}

/** Asks what is to be known of a model: only where it is in memory already, since asking loads it. */
async function learn(name, isLoaded = served.find(each => each.id === name)?.loaded) {
  if (name && isLoaded && !properties.has(name)) {
    const told = await server.properties(name).catch(() => null);
    if (told) {
      properties.set(name, told);
    }
  }
  const takesFeedback = properties.get(name)?.takesFeedback ?? false;
  if (takesFeedback !== messages.takesFeedback && !running) {
    showAll();
  }
  shell.showUsage(conversation && tree.path(conversation).findLast(message => message.tokens > 0), context());
}

/** Takes a question; false where it cannot be taken now. */
function send(text) {
  if (running) {
    return false;
  }
  if (!conversation) {
    conversation = tree.create(model(), draft);
    conversation.title = tree.titleOf(text);
    history.pushState(null, "", `#${conversation.id}`);
  }
  const last = tree.path(conversation).at(-1) ?? null;
  answer(tree.add(conversation, last, { role: "user", text }));
  return true;
}

/** Asks otherwise: the changed question stands beside the one before. */
function edit(message, text) {
  if (!running) {
    const before = tree.parentOf(conversation, message);
    answer(tree.add(conversation, before === conversation ? null : before, { role: "user", text }));
    composer.focus();
  }
}

/** Answers once more: the new answer stands beside the one before. */
function again(message) {
  if (!running) {
    answer(message.role === "user" ? message : tree.parentOf(conversation, message));
    composer.focus();
  }
}

function turn(message, step) {
  if (!running) {
    const shown = tree.turn(conversation, message, step);
    keep(conversation);
    showAll();
    messages.focusTurn(shown, step);
  }
}

function editLast() {
  const last = conversation && !running ? tree.path(conversation).findLast(message => message.role === "user") : null;
  if (last) {
    messages.edit(last);
  }
  return last !== null;
}

function stop() {
  running?.controller.abort();
}

/** Has a question answered, and shows how that goes. */
async function answer(question) {
  const own = conversation; // another may be opened before this has ended
  const message = tree.add(own, question, { role: "assistant", text: "", model: model() });
  const controller = new AbortController();
  running = { message, controller };
  own.model = message.model;
  composer.setRunning(true);
  notices.clear();
  showAll();
  messages.toEnd();
  words.announce(t("answering"));
  let failed = null;
  try {
    await keep({ ...own, messages: own.messages.filter(each => each !== message) });
    await tryOften(() => stream(own, question, message, controller.signal), controller.signal);
  } catch (failure) {
    failed = failure.name === "AbortError" ? null : failure;
    message.finish = failed ? "cut" : "stopped";
  }
  running = null;
  composer.setRunning(false);
  const isEmpty = message.text === "" && !message.reasoning && message.finish !== "stop" && message.finish !== "length";
  if (isEmpty) {
    tree.drop(own, message);
  }
  own.updated = Date.now();
  await keep(own);
  if (own !== conversation) {
    return;
  }
  showAll();
  if (failed) {
    tellFailure(failed, () => again(isEmpty ? question : message));
  } else {
    words.announce(message.finish === "stopped" ? t("stopped") : t("answered", { text: spoken(message.text) }));
    await learn(message.model, true);
  }
}

async function stream(own, question, message, signal) {
  let saved = Date.now();
  if (!message.model) { // the page found no server when it was opened
    await findModels();
    message.model = own.model = model();
  }
  const request = { model: message.model, messages: tree.forServer(own, tree.pathTo(own, question)), ...settings.fieldsOf(own.settings) };
  for await (const piece of server.answer(request, signal)) {
    message.servedBy = piece.servedBy ?? message.servedBy;
    message.servedWhy = piece.servedWhy ?? message.servedWhy;
    message.servedModel = piece.servedModel ?? message.servedModel;
    message.answerId = piece.id ?? message.answerId;
    message.finish = piece.finish ?? message.finish;
    message.text += piece.text ?? "";
    if (piece.reasoning) {
      message.reasoning = (message.reasoning ?? "") + piece.reasoning;
    }
    if (piece.usage) {
      message.promptTokens = piece.usage.prompt_tokens;
      message.tokens = piece.usage.completion_tokens;
    }
    message.perSecond = piece.timings?.predicted_per_second ?? message.perSecond;
    messages.grow(message);
    if (Date.now() - saved > saveEvery && message.text) {
      saved = Date.now();
      keep(own); // what is there outlives a page that is closed now
    }
  }
}

/** Tries again while the server is busy and says when to. */
async function tryOften(work, signal) {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (failure) {
      if (failure.kind !== "busy" || failure.retryAfter === null || tries === mostTries) {
        throw failure;
      }
      await countDown(failure.retryAfter, signal);
    }
  }
}

async function countDown(seconds, signal) {
  const told = notices.tell(t("busyWaiting", { seconds: words.number(seconds) }));
  const end = Date.now() + seconds * 1000;
  try {
    while (Date.now() < end) {
      await new Promise(resolve => { setTimeout(resolve, 250); });
      signal.throwIfAborted();
      told.textContent = t("busyWaiting", { seconds: words.number(Math.max(0, Math.ceil((end - Date.now()) / 1000))) });
    }
  } finally {
    notices.clear();
  }
}

async function keep(own) {
  try {
    if (!removed.has(own.id)) {
      await store.save(own);
    }
  } catch (failure) {
    notices.tell(t("notSaved", { message: failure.message }), { isError: true });
  }
}

function tellFailure(failure, retry) {
  const actions = [[t("tryAgain"), retry]];
  if (failure.kind === "key") {
    actions.unshift([t("enterKey"), () => openSettings("key")]);
  } else if (failure.kind === "context") {
    actions.splice(0, 1, [t("new"), startNew]);
  } else if (failure.kind === "model") {
    loadModels();
  } else if (!failure.kind) {
    console.error(failure); // a mistake of this page
  }
  notices.tellFailure(failure, actions);
}

function openSettings(focus) {
  settings.show(conversation?.settings ?? draft, properties.get(model()), async changed => {
    draft = changed;
    if (conversation) {
      conversation.settings = changed;
      await keep(conversation);
    }
    notices.clear();
    await loadModels();
  }, focus);
}

async function rate(message, rating) {
  if (preferences.get("consent") !== true) {
    if (!(await ask(t("consentAsk"), t("agree")))) {
      return;
    }
    preferences.set("consent", true);
  }
  try {
    const before = tree.forServer(conversation, tree.pathTo(conversation, message));
    await server.sendFeedback({ id: message.answerId, model: message.servedModel ?? message.model, rating, messages: before });
    message.rating = rating;
    await keep(conversation);
    showAll();
    words.announce(t("thanks"));
  } catch (failure) {
    tellFailure(failure, () => rate(message, rating));
  }
}

/** What is read aloud of an answer: not more than one would listen to at once. */
function spoken(text) {
  return text.length > mostSaid ? `${text.slice(0, mostSaid)}…` : text;
}
