// What the page has to say in between: what went wrong, in plain words, with what one can do. Knows the kinds of failure, not how they are mended.
import { byId, element, iconButton } from "./dom.js";
import { announce, number, t } from "./words.js";

const place = byId("notices");

export const clear = () => place.replaceChildren();

/** Says something. `actions` are pairs of a text and what to do. */
export function tell(text, { isError = false, actions = [] } = {}) {
  const words = element("p", {}, text);
  const notice = element(
    "div", { class: isError ? "notice error" : "notice", role: isError ? "alert" : null },
    words,
    element("div", { class: "actions" }, ...actions.map(([label, act]) => element("button", { type: "button", on: { click: () => { notice.remove(); act(); } } }, label))),
    iconButton("close", t("close"), () => notice.remove()));
  place.replaceChildren(notice);
  notice.scrollIntoView({ block: "nearest" });
  if (!isError) {
    announce(text); // once, whatever the text counts down
  }
  return words;
}

/** Says why a request failed. */
export function tellFailure(failure, actions = []) {
  return tell(wordsOf(failure), { isError: true, actions });
}

function wordsOf(failure) {
  switch (failure.kind) {
    case "offline": return t("failedOffline");
    case "cut": return t("failedCut");
    case "key": return t("failedKey");
    case "busy": return failure.retryAfter ? t("failedBusyFor", { seconds: number(failure.retryAfter) }) : t("failedBusy");
    case "context": return t("failedContext", { prompt: number(failure.promptTokens), context: number(failure.contextTokens) });
    case "model": return t("failedModel");
    default: return t("failedOther", { message: failure.message });
  }
}
