// The portal's pages: forms are sent as JSON with the session's token, and answers of the prompt box come in as they are written. What a model writes never becomes HTML.
import { Prose } from "/scripts/markdown.js";
import * as words from "/scripts/words.js";

const $ = id => document.getElementById(id);
const formToken = document.querySelector("meta[name=kidogo-form]")?.content;

/** Sends something and returns what is answered; what went wrong comes in the reader's language. */
async function send(path, method = "POST", body = {}, signal = undefined) {
  const headers = { "Content-Type": "application/json" };
  if (formToken) {
    headers["X-Kidogo-Form"] = formToken;
  }
  let response;
  try {
    response = await fetch(path, { method, headers, body: method === "GET" || method === "DELETE" ? undefined : JSON.stringify(body), signal });
  } catch (failure) {
    throw failure.name === "AbortError" ? failure : new Error(document.body.dataset.offline);
  }
  if (!response.ok) {
    const told = await response.json().catch(() => null);
    throw new Error(told?.error?.message ?? document.body.dataset.offline);
  }
  return response;
}

function tell(problem) {
  $("problem").textContent = problem;
  $("problem").hidden = !problem;
  if (problem) {
    $("problem").scrollIntoView({ block: "nearest" });
  }
}

/** The fields of a form: numbers and ticks as such, what is empty not at all. */
function fieldsOf(form) {
  const fields = {};
  for (const input of form.elements) {
    if (!input.name || "skip" in input.dataset) {
      continue;
    }
    if (input.type === "checkbox") {
      fields[input.name] = input.checked;
    } else if (input.value !== "") {
      fields[input.name] = input.type === "number" ? Number(input.value) : input.value;
    }
  }
  return fields;
}

/** Shows what is shown once, below the form that asked for it. */
function showSecret(form, secret) {
  const place = document.createElement("div");
  place.className = "box";
  place.setAttribute("role", "status");
  const note = document.createElement("p");
  note.textContent = form.dataset.secret;
  const code = document.createElement("code");
  code.className = "secret";
  code.textContent = secret;
  place.append(note, code);
  if (form.dataset.link) {
    const link = document.createElement("code");
    link.className = "secret";
    link.textContent = `${location.origin}${form.dataset.link}#${secret}`;
    place.append(link);
  }
  form.after(place);
  place.tabIndex = -1;
  place.focus();
}

async function act(element, body) {
  if (element.dataset.confirm && !confirm(element.dataset.confirm)) {
    return;
  }
  const button = element.matches("form") ? element.querySelector("button[type=submit]") : element;
  button.disabled = true;
  tell("");
  try {
    const answer = await (await send(element.dataset.send, element.dataset.method, body)).json();
    if (answer.secret) {
      showSecret(element, answer.secret);
      element.reset();
    } else if (element.dataset.next) {
      location.assign(element.dataset.next);
    } else {
      location.reload();
    }
  } catch (failure) {
    tell(failure.message);
  } finally {
    button.disabled = false;
  }
}

const bodies = { everywhere: { everywhere: true }, locked: { locked: true }, unlocked: { locked: false } };
for (const form of document.querySelectorAll("form[data-send]")) {
  form.addEventListener("submit", event => {
    event.preventDefault();
    act(form, fieldsOf(form));
  });
}
for (const button of document.querySelectorAll("button[data-send]")) {
  button.addEventListener("click", () => act(button, bodies[button.dataset.body]));
}

// An invitation's link has its code behind the #, which no server and no log sees.
if ($("code") && location.hash.length > 1) {
  $("code").value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}

// Whoever follows a link from elsewhere is not known at first, since the cookie does not come along; what this page asks brings it.
if (document.body.dataset.visitor) {
  fetch("/portal/api/me").then(response => response.json()).then(me => {
    if (me.name && !sessionStorage.getItem("kidogo.reloaded")) {
      sessionStorage.setItem("kidogo.reloaded", "yes");
      location.reload();
    }
  }).catch(() => {});
} else {
  sessionStorage.removeItem("kidogo.reloaded");
}

let running = null;

async function ask() {
  const prompt = $("prompt").value.trim();
  if (!prompt || running) {
    return;
  }
  running = new AbortController();
  tell("");
  $("answer").replaceChildren();
  const shown = new Prose($("answer"));
  let text = "";
  $("answer").hidden = false;
  $("answer").ariaBusy = "true";
  $("stop").hidden = false;
  try {
    const response = await send("/portal/api/ask", "POST", { prompt }, running.signal);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let held = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        break;
      }
      const events = (held + value).split("\n\n");
      held = events.pop();
      for (const event of events) {
        if (event.startsWith("data: {")) {
          const chunk = JSON.parse(event.slice("data: ".length));
          if (chunk.error) {
            throw new Error(chunk.error.message);
          }
          text += chunk.choices?.[0]?.delta?.content ?? "";
        }
      }
      shown.update(text);
    }
  } catch (failure) {
    if (failure.name !== "AbortError") {
      tell(failure instanceof TypeError ? document.body.dataset.offline : failure.message);
    }
  } finally {
    running = null;
    $("answer").ariaBusy = "false";
    $("answer").hidden = $("answer").textContent === "";
    $("stop").hidden = true;
  }
}

if ($("ask")) {
  words.load(document.documentElement.lang); // what the answer's buttons are called
  $("ask").addEventListener("submit", event => {
    event.preventDefault();
    ask();
  });
  $("stop").addEventListener("click", () => running?.abort());
  $("prompt").addEventListener("keydown", event => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      ask();
    }
  });
  for (const example of document.querySelectorAll("[data-example]")) {
    example.addEventListener("click", () => {
      $("prompt").value = example.dataset.example;
      ask();
    });
  }
}
