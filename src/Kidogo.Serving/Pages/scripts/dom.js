// Builds elements out of names, attributes and children. A string is always text: nothing here, or anywhere on this page, reads HTML.

/** An element. `on` holds its listeners; attributes that are null or false are left away. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") {
      for (const [type, listener] of Object.entries(value)) {
        made.addEventListener(type, listener);
      }
    } else if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(key, value === true ? "" : value);
    }
  }
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

export const byId = id => document.getElementById(id);

/** One of the drawings that the page carries. */
export function icon(name) {
  return byId("icons").content.querySelector(`[data-icon="${name}"]`).cloneNode(true);
}

/** A button with a drawing, and a label for those who do not see it. */
export function iconButton(name, label, onClick, attributes = {}) {
  return element("button", { type: "button", class: "quiet", "aria-label": label, title: label, on: { click: onClick }, ...attributes }, icon(name));
}

/** Copies a text. Without HTTPS a browser has no clipboard for pages, but still copies what is selected. */
export async function copy(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not allowed: the way below may be.
    }
  }
  const before = document.activeElement;
  const held = element("textarea", { class: "hidden", readonly: true, "aria-hidden": "true", tabindex: "-1" });
  held.value = text;
  (before?.closest("dialog") ?? document.body).append(held);
  held.select();
  const copied = document.execCommand("copy");
  held.remove();
  before?.focus({ preventScroll: true });
  return copied;
}

/** A button that copies, and says for a moment that it has. */
export function copyButton(text, words) {
  const made = iconButton("copy", words.t("copy"), async () => {
    const copied = await copy(text());
    made.replaceChildren(icon(copied ? "done" : "close"));
    words.announce(words.t(copied ? "copied" : "notCopied"));
    setTimeout(() => made.replaceChildren(icon("copy")), 1500);
  });
  return made;
}

/** Asks before something that cannot be undone. */
export function ask(text, yes) {
  const dialog = byId("ask-dialog");
  byId("ask-text").textContent = text;
  byId("ask-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise(resolve => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
