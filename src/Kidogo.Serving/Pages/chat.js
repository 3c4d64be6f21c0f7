// The chat page: one conversation, streamed. What a model writes is shown as text, never as HTML.
"use strict";

const texts = {
  en: { model: "Model", new: "New conversation", settings: "Settings", system: "System prompt", temperature: "Temperature", key: "Key", message: "Message", send: "Send", stop: "Stop",
        user: "You", assistant: "Model", reasoning: "Reasoning", waiting: "Waiting…", speed: "tokens/s", of: "of", context: "tokens of context used", failed: "That did not work: " },
  fr: { model: "Modèle", new: "Nouvelle conversation", settings: "Réglages", system: "Consigne", temperature: "Température", key: "Clé", message: "Message", send: "Envoyer", stop: "Arrêter",
        user: "Vous", assistant: "Modèle", reasoning: "Raisonnement", waiting: "En attente…", speed: "jetons/s", of: "sur", context: "jetons de contexte utilisés", failed: "Échec : " },
  sw: { model: "Modeli", new: "Mazungumzo mapya", settings: "Mipangilio", system: "Maelekezo", temperature: "Halijoto", key: "Ufunguo", message: "Ujumbe", send: "Tuma", stop: "Simamisha",
        user: "Wewe", assistant: "Modeli", reasoning: "Kufikiri", waiting: "Inasubiri…", speed: "tokeni/s", of: "kati ya", context: "tokeni za muktadha zimetumika", failed: "Imeshindikana: " },
};
const language = (navigator.languages || ["en"]).map(name => name.slice(0, 2)).find(name => texts[name]) || "en";
const say = texts[language];
const $ = id => document.getElementById(id);
const messages = [];
const contexts = {};
let running = null;

document.documentElement.lang = language;
for (const element of document.querySelectorAll("[data-text]")) {
  element.textContent = say[element.dataset.text];
}

function headers() {
  const all = { "Content-Type": "application/json" };
  if ($("key").value) {
    all.Authorization = "Bearer " + $("key").value;
  }
  return all;
}

async function loadModels() {
  const response = await fetch("/v1/models", { headers: headers() });
  if (!response.ok) {
    throw new Error((await response.json()).error.message);
  }
  $("model").replaceChildren(...(await response.json()).data.filter(model => model.meta.type !== "encoder").map(model => {
    contexts[model.id] = model.meta.n_ctx;
    return new Option(model.id, model.id);
  }));
}

function addMessage(role, text) {
  const item = document.createElement("li");
  const who = document.createElement("p");
  const body = document.createElement("p");
  item.className = role;
  who.className = "who";
  who.textContent = say[role];
  body.className = "text";
  body.textContent = text;
  item.append(who, body);
  $("messages").append(item);
  item.scrollIntoView({ block: "end" });
  return { item, body };
}

function reasoningOf(view) {
  if (!view.reasoning) {
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    const text = document.createElement("p");
    details.className = "reasoning";
    summary.textContent = say.reasoning;
    text.className = "text";
    details.append(summary, text);
    view.item.insertBefore(details, view.body);
    view.reasoning = text;
  }
  return view.reasoning;
}

// Events end with an empty line; lines that begin with a colon are heartbeats.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    held += value;
    for (let end; (end = held.indexOf("\n\n")) >= 0; held = held.slice(end + 2)) {
      const line = held.slice(0, end);
      if (line.startsWith("data: ") && line !== "data: [DONE]") {
        yield JSON.parse(line.slice(6));
      }
    }
  }
}

async function answer() {
  const system = $("system").value.trim();
  const body = {
    model: $("model").value,
    messages: (system ? [{ role: "system", content: system }] : []).concat(messages),
    stream: true,
    stream_options: { include_usage: true },
  };
  if ($("temperature").value !== "") {
    body.temperature = Number($("temperature").value);
  }
  const response = await fetch("/v1/chat/completions", { method: "POST", headers: headers(), body: JSON.stringify(body), signal: running.signal });
  if (!response.ok) {
    throw new Error((await response.json()).error.message);
  }
  const view = addMessage("assistant", "");
  let text = "";
  try {
    for await (const event of events(response)) {
      if (event.error) {
        throw new Error(event.error.message);
      }
      const delta = event.choices[0]?.delta ?? {};
      if (delta.reasoning_content) {
        reasoningOf(view).textContent += delta.reasoning_content;
      }
      if (delta.content) {
        text += delta.content;
        view.body.textContent = text;
        $("status").textContent = "";
      }
      if (event.timings) {
        $("status").textContent = `${event.timings.predicted_per_second.toFixed(1)} ${say.speed} · ${event.usage.total_tokens} ${say.of} ${contexts[body.model]} ${say.context}`;
      }
    }
  } finally {
    messages.push({ role: "assistant", content: text });
  }
}

async function send() {
  const prompt = $("prompt").value.trim();
  if (!prompt || running) {
    return;
  }
  $("prompt").value = "";
  messages.push({ role: "user", content: prompt });
  addMessage("user", prompt);
  running = new AbortController();
  $("send").hidden = true;
  $("stop").hidden = false;
  $("status").textContent = say.waiting;
  try {
    if (!$("model").value) {
      await loadModels();
    }
    await answer();
  } catch (failure) {
    $("status").textContent = failure.name === "AbortError" ? "" : say.failed + failure.message;
  } finally {
    running = null;
    $("send").hidden = false;
    $("stop").hidden = true;
    $("prompt").focus();
  }
}

$("form").addEventListener("submit", event => { event.preventDefault(); send(); });
$("stop").addEventListener("click", () => running?.abort());
$("new").addEventListener("click", () => {
  running?.abort();
  messages.length = 0;
  $("messages").replaceChildren();
  $("status").textContent = "";
  $("prompt").focus();
});
$("key").addEventListener("change", () => loadModels().catch(failure => { $("status").textContent = say.failed + failure.message; }));
$("prompt").addEventListener("keydown", event => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});
loadModels().catch(failure => { $("status").textContent = say.failed + failure.message; });
