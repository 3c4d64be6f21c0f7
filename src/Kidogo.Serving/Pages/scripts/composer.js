// The field where one writes, with its two buttons. Knows keys and no conversations.
import { byId, icon } from "./dom.js";

const form = byId("composer"), field = byId("prompt"), send = byId("send"), stop = byId("stop");
const isTouch = matchMedia("(pointer: coarse)");

/** Calls send(text) and stop(); `editLast` where somebody presses the arrow up in the empty field. */
export function listen({ onSend, onStop, editLast }) {
  const submit = () => {
    const text = field.value.trim();
    if (text && onSend(text)) {
      set("");
    }
  };
  form.addEventListener("submit", event => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("keydown", event => {
    if (event.isComposing) {
      return;
    }
    if (event.key === "Enter" && !event.shiftKey && !isTouch.matches) { // a touch keyboard has no Shift+Enter: there, Enter is a new line
      event.preventDefault();
      submit();
    } else if (event.key === "ArrowUp" && field.value === "" && editLast()) {
      event.preventDefault();
    }
  });
  field.addEventListener("input", fit);
  stop.addEventListener("click", onStop);
}

/** Whether an answer is being written: then the button stops it. */
export function setRunning(isRunning) {
  const hadFocus = [send, stop].includes(document.activeElement);
  send.hidden = isRunning;
  stop.hidden = !isRunning;
  if (hadFocus) {
    (isRunning ? stop : field).focus();
  }
}

/** Puts a text into the field. */
export function set(text) {
  field.value = text;
  fit();
}

export const focus = () => field.focus({ preventScroll: true });

/** Makes the field as high as its text where the browser does not do so itself. */
function fit() {
  if (!CSS.supports("field-sizing", "content")) {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  }
}

send.append(icon("send"));
stop.append(icon("stop"));
