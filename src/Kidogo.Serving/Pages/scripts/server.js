// Talks to the server that the page came from, and to nobody else. Knows the API's shapes and how requests fail; shows nothing.
import * as brand from "./brand.js";
import * as preferences from "./preferences.js";

/** Why a request failed: `kind` is offline, key, busy, context, model, cut or other; `retryAfter` is in seconds. */
export class Failure extends Error {
  constructor(kind, message = "", { retryAfter = null, promptTokens = 0, contextTokens = 0 } = {}) {
    super(message);
    Object.assign(this, { kind, retryAfter, promptTokens, contextTokens });
  }
}

/** The key: for this tab, or remembered where its owner wants that. */
export function key() {
  return keptForTab()?.getItem("kidogo.key") || preferences.get("key", "");
}

export const isKeyRemembered = () => preferences.get("key") !== null;

export function setKey(value, remember) {
  preferences.set("key", value && remember ? value : null);
  if (value) {
    keptForTab()?.setItem("kidogo.key", value);
  } else {
    keptForTab()?.removeItem("kidogo.key");
  }
}

/** What is served: {id, type, context, loaded}. Only what is of type decoder writes text. */
export async function models() {
  const list = await (await asked("/v1/models")).json();
  return list.data.map(({ id, meta }) => ({ id, type: meta?.type ?? "decoder", context: meta?.n_ctx ?? null, loaded: meta?.loaded ?? true }));
}

/** What the server tells of a model: its context, what it does where a request says nothing, and what else is possible. */
export async function properties(model) {
  const told = await (await asked(`/props?model=${encodeURIComponent(model)}`)).json();
  return {
    context: told.default_generation_settings?.n_ctx ?? null,
    defaults: told.default_generation_settings?.params ?? {},
    canThink: told.supports_thinking_switch === true,
    takesFeedback: told.feedback === true,
  };
}

/** Sends a rating, with the conversation that it is about: only after its writer has agreed to that. */
export const sendFeedback = feedback => asked("/v1/feedback", { method: "POST", body: JSON.stringify({ ...feedback, consent: true }) });

/** An answer as it comes: pieces with some of text, reasoning, finish, id, servedBy, servedWhy, servedModel, usage, timings. */
export async function* answer(request, signal) {
  const response = await asked("/v1/chat/completions", { method: "POST", body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }), signal });
  yield { servedBy: response.headers.get("x-kidogo-served-by") };
  let isWhole = false;
  for await (const event of events(response, signal)) {
    if (event === "[DONE]") {
      isWhole = true;
      continue;
    }
    const chunk = JSON.parse(event);
    if (chunk.error) {
      throw failureOf(chunk.error, 200, null);
    }
    const choice = chunk.choices?.[0];
    yield {
      id: chunk.id,
      text: choice?.delta?.content,
      reasoning: choice?.delta?.reasoning_content,
      finish: choice?.finish_reason,
      servedBy: chunk.kidogo?.served_by,
      servedWhy: chunk.kidogo?.detail,
      servedModel: chunk.kidogo?.model,
      usage: chunk.usage,
      timings: chunk.timings,
    };
  }
  if (!isWhole) {
    throw new Failure("cut");
  }
}

/** The data of a stream's events. They end with an empty line; lines that begin with a colon are heartbeats. */
async function* events(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      held += value;
      const whole = held.split("\n\n");
      held = whole.pop();
      for (const event of whole) {
        const data = event.split("\n").filter(line => line.startsWith("data:")).map(line => line.slice(5).trimStart()).join("\n");
        if (data) {
          yield data;
        }
      }
    }
  } catch (failure) {
    signal.throwIfAborted();
    throw failure instanceof TypeError ? new Failure("cut") : failure;
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function asked(path, options = {}) {
  const headers = { "Content-Type": "application/json", ...brand.headers };
  if (key()) {
    headers.Authorization = `Bearer ${key()}`;
  }
  let response;
  try {
    response = await fetch(path, { headers, ...options });
  } catch (failure) {
    throw failure.name === "AbortError" ? failure : new Failure("offline");
  }
  if (!response.ok) {
    const told = await response.json().catch(() => null);
    throw failureOf(told?.error ?? {}, response.status, response.headers.get("Retry-After"));
  }
  return response;
}

function failureOf(error, status, retryAfter) {
  const kind = error.type === "exceed_context_size_error" ? "context"
    : status === 401 ? "key"
    : status === 429 || status === 503 ? "busy"
    : error.code === "model_not_found" ? "model"
    : "other";
  const seconds = Number.parseInt(retryAfter ?? "", 10);
  return new Failure(kind, error.message ?? `HTTP ${status}`, {
    retryAfter: seconds > 0 ? Math.min(seconds, 3600) : null,
    promptTokens: error.n_prompt_tokens,
    contextTokens: error.n_ctx,
  });
}

function keptForTab() {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}
