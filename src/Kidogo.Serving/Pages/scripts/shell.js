// What is around the conversation: the side bar, the top bar, the keyboard. Calls back what is pressed; knows no messages.
import * as brand from "./brand.js";
import { byId, element, icon } from "./dom.js";
import * as preferences from "./preferences.js";
import * as words from "./words.js";

const { t } = words;
const sidebar = byId("sidebar"), veil = byId("veil"), opener = byId("open-sidebar");
const isNarrow = matchMedia("(max-width: 52rem)");
const isApple = /Mac|iPhone|iPad/.test(navigator.platform);

/** What the keyboard does, and how that is called. */
const shortcuts = [
  ["Enter", "keySend"], ["Shift+Enter", "keyLine"], ["Escape", "keyStop"], ["ArrowUp", "keyEdit"],
  ["Ctrl+Shift+O", "new"], ["Ctrl+K", "search"], ["Ctrl+,", "settings"], ["Ctrl+/", "shortcuts"],
];

export class Shell {
  #on;

  /** @param on what to call: startNew, stop, isRunning, openSettings, languageChanged(name), modelChanged(name) */
  constructor(on) {
    this.#on = on;
    document.querySelector("[data-brand]").textContent = brand.name;
    opener.append(icon("menu"));
    byId("settings").append(icon("settings"));
    byId("new-small").append(icon("new"));
    document.querySelector(".skip").addEventListener("click", event => {
      event.preventDefault(); // what is behind # in the address is a conversation
      byId("prompt").focus();
    });
    byId("new").addEventListener("click", on.startNew);
    byId("new-small").addEventListener("click", on.startNew);
    byId("settings").addEventListener("click", () => on.openSettings());
    byId("help").addEventListener("click", () => byId("help-dialog").showModal());
    byId("model").addEventListener("change", event => on.modelChanged(event.target.value));
    opener.addEventListener("click", () => this.#setSidebar(true));
    byId("close-sidebar").addEventListener("click", () => this.#setSidebar(false));
    veil.addEventListener("click", () => this.#setSidebar(false));
    isNarrow.addEventListener("change", () => this.#setSidebar(false, false));
    this.#setSidebar(false, false);
    this.#language();
    this.#theme();
    document.addEventListener("keydown", event => this.#key(event));
  }

  closeSidebar() {
    if (sidebar.classList.contains("open")) {
      this.#setSidebar(false, false);
    }
  }

  /** Puts into the language what HTML alone cannot. */
  showWords() {
    byId("new").replaceChildren(icon("new"), t("new"));
    byId("hint").textContent = t("hint");
    byId("shortcuts").replaceChildren(...shortcuts.flatMap(([keys, what]) => [element("dt", {}, ...spelled(keys)), element("dd", {}, t(what))]));
  }

  /** Shows what is served; the wanted model is chosen where it is among it. */
  showModels(models, wanted) {
    byId("model").replaceChildren(...models.map(({ id }) => element("option", { value: id }, id)));
    if (models.some(({ id }) => id === wanted)) {
      byId("model").value = wanted;
    }
    byId("model").disabled = models.length < 2;
  }

  /** Shows how much of the context the conversation fills, by its last answer. */
  showUsage(message, context) {
    const used = message ? (message.promptTokens ?? 0) + message.tokens : 0;
    byId("usage").hidden = used === 0 || !context;
    if (used > 0 && context) {
      byId("usage-text").textContent = t("usage", { used: words.number(used), context: words.number(context) });
      byId("usage-meter").value = Math.min(1, used / context);
    }
  }

  #setSidebar(isOpen, movesFocus = true) {
    sidebar.classList.toggle("open", isOpen);
    sidebar.inert = isNarrow.matches && !isOpen;
    veil.hidden = !isOpen;
    opener.setAttribute("aria-expanded", String(isOpen));
    if (movesFocus) {
      (isOpen ? byId("new") : opener).focus();
    }
  }

  #language() {
    const choice = byId("language");
    choice.append(...Object.entries(words.languages).map(([name, own]) => element("option", { value: name, lang: name }, own)));
    choice.value = words.language();
    choice.addEventListener("change", () => {
      preferences.set("language", choice.value);
      this.#on.languageChanged(choice.value);
    });
  }

  #theme() {
    const choice = byId("theme");
    choice.value = preferences.get("theme", "system");
    choice.addEventListener("change", () => {
      preferences.set("theme", choice.value === "system" ? null : choice.value);
      document.dispatchEvent(new Event("theme"));
    });
  }

  #key(event) {
    if (document.querySelector("dialog[open]")) {
      return;
    }
    if (event.key === "Escape") {
      if (event.target === byId("search") && event.target.value) {
        return; // the browser clears the field
      }
      if (sidebar.classList.contains("open")) {
        this.#setSidebar(false);
      } else if (this.#on.isRunning()) {
        this.#on.stop();
      }
      return;
    }
    if (!(event.ctrlKey || event.metaKey) || event.altKey) {
      return;
    }
    const acts = {
      "o": event.shiftKey && this.#on.startNew,
      "k": !event.shiftKey && (() => this.#search()),
      ",": this.#on.openSettings,
      "/": () => byId("help-dialog").showModal(),
    };
    const act = acts[event.key.toLowerCase()];
    if (act) {
      event.preventDefault();
      act();
    }
  }

  #search() {
    if (isNarrow.matches) {
      this.#setSidebar(true);
    }
    byId("search").select();
    byId("search").focus();
  }
}

function spelled(keys) {
  return keys.split("+").flatMap((key, index) => {
    const shown = key === "Ctrl" && isApple ? "⌘" : key === "Escape" ? "Esc" : key === "ArrowUp" ? "↑" : key;
    return [...(index > 0 ? [" + "] : []), element("kbd", {}, shown)];
  });
}
