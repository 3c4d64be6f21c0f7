// The list of conversations: search, rename, export, delete. Knows the store and no messages.
import * as brand from "./brand.js";
import { ask, byId, element, icon, iconButton } from "./dom.js";
import * as store from "./store.js";
import * as transfer from "./transfer.js";
import * as words from "./words.js";

const { t } = words;
const place = byId("conversations"), search = byId("search");
const day = 24 * 60 * 60 * 1000;

export class Conversations {
  #on;
  #current = null;
  #asked = 0;

  /** @param on what to call: open(id), removed(id), renamed(id, title), told(text, isError) */
  constructor(on) {
    this.#on = on;
    let soon = 0;
    search.addEventListener("input", () => {
      clearTimeout(soon);
      soon = setTimeout(() => this.refresh(), 150);
    });
    store.onChange(() => this.refresh());
    byId("export-all").addEventListener("click", () => this.#exportAll());
    byId("import").addEventListener("click", () => byId("import-file").click());
    byId("import-file").addEventListener("change", () => this.#import());
  }

  /** Marks the conversation that is shown. */
  mark(id) {
    this.#current = id;
    for (const link of place.querySelectorAll("a")) {
      this.#markLink(link);
    }
  }

  /** Reads the list again. */
  async refresh() {
    const asked = ++this.#asked;
    const found = await store.list(search.value);
    if (asked !== this.#asked || place.querySelector("form")) {
      return; // somebody asked something newer, or is writing a name
    }
    const focused = place.contains(document.activeElement) ? document.activeElement.closest("li")?.dataset.id : null;
    place.replaceChildren(...this.#groups(found));
    if (focused) {
      place.querySelector(`li[data-id="${CSS.escape(focused)}"] a`)?.focus();
    }
  }

  /** Deletes everything, after asking. */
  async removeAll() {
    const all = await store.list();
    if (all.length === 0 || !(await ask(t("deleteAllAsk", { count: words.number(all.length) }), t("delete")))) {
      return false;
    }
    for (const { id } of all) {
      await store.remove(id);
      this.#on.removed(id);
    }
    await this.refresh();
    return true;
  }

  #groups(found) {
    if (found.length === 0) {
      return [element("p", { class: "nothing" }, t(search.value.trim() ? "nothingFound" : "nothingYet"))];
    }
    const today = new Date().setHours(0, 0, 0, 0);
    const groups = [["today", today], ["thisWeek", today - 6 * day], ["earlier", Number.NEGATIVE_INFINITY]];
    let rest = found;
    return groups.flatMap(([name, since]) => {
      const own = rest.filter(each => each.updated >= since);
      rest = rest.filter(each => each.updated < since);
      return own.length === 0 ? [] : [element("h2", {}, t(name)), element("ul", {}, ...own.map(each => this.#item(each)))];
    });
  }

  #item(conversation) {
    const title = conversation.title || t("untitled");
    const link = element("a", { href: `#${conversation.id}`, title, dir: "auto" }, title);
    this.#markLink(link);
    const item = element(
      "li", { "data-id": conversation.id },
      link,
      element(
        "span", { class: "tools" },
        iconButton("edit", t("renameOf", { title }), () => this.#rename(conversation, item, link), { "data-action": "rename" }),
        iconButton("export", t("exportOf", { title }), () => this.#export([conversation], conversation.title), { "data-action": "export" }),
        iconButton("delete", t("deleteOf", { title }), () => this.#remove(conversation, title), { "data-action": "delete" })));
    return item;
  }

  #markLink(link) {
    if (link.hash === `#${this.#current}`) {
      link.setAttribute("aria-current", "page");
    } else {
      link.removeAttribute("aria-current");
    }
  }

  #rename(conversation, item, link) {
    const field = element("input", { "aria-label": t("name"), maxlength: "200" });
    field.value = conversation.title;
    let isOver = false;
    const end = async isWanted => {
      if (isOver) {
        return;
      }
      isOver = true;
      const title = field.value.trim();
      form.replaceWith(link);
      link.focus();
      if (isWanted && title && title !== conversation.title) {
        const whole = await store.load(conversation.id);
        if (whole) {
          await store.save({ ...whole, title });
          this.#on.renamed(conversation.id, title);
        }
      }
      await this.refresh();
    };
    const form = element("form", { on: { submit: event => { event.preventDefault(); end(true); } } }, field);
    field.addEventListener("keydown", event => {
      if (event.key === "Escape") {
        event.stopPropagation();
        end(false);
      }
    });
    field.addEventListener("blur", () => end(true));
    link.replaceWith(form);
    field.focus();
    field.select();
    item.scrollIntoView({ block: "nearest" });
  }

  async #remove(conversation, title) {
    if (await ask(t("deleteAsk", { title }), t("delete"))) {
      await store.remove(conversation.id);
      this.#on.removed(conversation.id);
      await this.refresh();
      search.focus({ preventScroll: true });
      words.announce(t("deleted"));
    }
  }

  async #exportAll() {
    await this.#export(await store.list(), "");
  }

  async #export(summaries, title) {
    const whole = (await Promise.all(summaries.map(each => store.load(each.id)))).filter(each => each !== null);
    const spelled = [brand.name, title, new Date().toISOString().slice(0, 10)].join(" ").toLowerCase();
    const name = spelled.normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 80);
    const address = URL.createObjectURL(new Blob([transfer.write(whole)], { type: "application/json" }));
    element("a", { href: address, download: `${name}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  async #import() {
    const [file] = byId("import-file").files;
    byId("import-file").value = "";
    if (!file) {
      return;
    }
    try {
      let added = 0, known = 0;
      for (const conversation of await transfer.read(file)) {
        const own = await store.load(conversation.id);
        if (own && transfer.areEqual(own, conversation)) {
          known++;
          continue;
        }
        // A file never writes over what is here.
        await store.save(own ? transfer.asCopy(conversation) : conversation);
        added++;
      }
      search.value = "";
      await this.refresh();
      this.#on.told(t("imported", { added: words.number(added), known: words.number(known) }), false);
    } catch (failure) {
      this.#on.told(failure instanceof transfer.TransferError ? t(failure.key, failure.values) : t("importFailed", { message: failure.message }), true);
    }
  }
}

byId("close-sidebar").append(icon("close"));
