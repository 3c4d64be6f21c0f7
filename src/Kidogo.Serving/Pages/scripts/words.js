// The page in the reader's language: dictionaries, numbers, dates, and what is said aloud. Knows no conversations.
import * as preferences from "./preferences.js";

/** The languages there are, each in its own name. */
export const languages = { en: "English", fr: "Français", sw: "Kiswahili" };

let dictionary = {};
let current = "en";

/** The language in force. */
export const language = () => current;

/** The chosen language, or else the first of the browser's that is here. */
export function preferred() {
  const chosen = preferences.get("language");
  return [chosen, ...(navigator.languages ?? [])].map(name => String(name).toLowerCase().split("-")[0]).find(name => Object.hasOwn(languages, name)) ?? "en";
}

/** Loads a language and puts the page into it. */
export async function load(name = preferred()) {
  const response = await fetch(`/words/${name}.json`);
  dictionary = await response.json();
  current = name;
  document.documentElement.lang = name;
  apply(document);
}

/** A text, with values in the place of its {names}. */
export function t(key, values = {}) {
  const text = dictionary[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));
}

/** Puts texts where the HTML names them. */
export function apply(root) {
  for (const place of root.querySelectorAll("[data-text]")) {
    place.textContent = t(place.dataset.text);
  }
  for (const place of root.querySelectorAll("[data-label]")) {
    place.setAttribute("aria-label", t(place.dataset.label));
    if (place.localName === "button") {
      place.title = t(place.dataset.label);
    }
  }
  for (const place of root.querySelectorAll("[data-placeholder]")) {
    place.placeholder = t(place.dataset.placeholder);
  }
}

/** A number as it is written in the language. */
export const number = (value, digits = 0) => new Intl.NumberFormat(current, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** Says something to a screen reader, once. */
export function announce(text) {
  const status = document.getElementById("status");
  status.textContent = "";
  // Readers notice what changes: a text that was there before has to be seen to go first.
  setTimeout(() => { status.textContent = text; }, 50);
}
