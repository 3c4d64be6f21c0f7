// The messages of a conversation on the screen. Shows what it is given and calls back what is pressed; knows no server and no store.
import { siblings } from "./conversation.js";
import { byId, copyButton, element, icon, iconButton } from "./dom.js";
import { Prose } from "./markdown.js";
import * as words from "./words.js";

const { t } = words;
const scroll = byId("scroll"), list = byId("messages"), latest = byId("latest");
const near = 24; // pixels from the end that count as being there

export class Messages {
  #on;
  #items = new Map(); // by the message's id: what is updated while it grows
  #follows = true; // whether the end stays in sight while there comes more
  #top = 0;
  #frame = 0;

  /** @param on what to call: edit(message, text), again(message), turn(message, step), rate(message, rating) */
  constructor(on) {
    this.#on = on;
    latest.append(icon("down"));
    latest.addEventListener("click", () => this.toEnd());
    scroll.addEventListener("scroll", () => {
      const below = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight;
      if (scroll.scrollTop < this.#top && below > 1) {
        this.#follows = false; // the reader goes back, by however little
      } else if (below < near) {
        this.#follows = true;
      }
      this.#top = scroll.scrollTop;
      latest.hidden = this.#follows;
    }, { passive: true });
    // A hand on the wheel ends following before anything is scrolled: a word that comes in the same moment must not take that back.
    scroll.addEventListener("wheel", event => {
      if (event.deltaY < 0 && scroll.scrollTop > 0) {
        this.#follows = false;
      }
    }, { passive: true });
    new ResizeObserver(() => this.#follow()).observe(list);
    new ResizeObserver(() => this.#follow()).observe(scroll);
  }

  /** Whether people may rate answers here. */
  takesFeedback = false;

  /** Shows a conversation's messages. `running` is the one that is being answered, if any. */
  show(conversation, messages, running = null) {
    this.#items.clear();
    list.replaceChildren(...messages.map(message => this.#item(conversation, message, message === running, message === messages.at(-1))));
  }

  /** Shows what a message has grown by, at most once a frame. */
  grow(message) {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#fill(message));
  }

  /** Scrolls to the end, and stays there. */
  toEnd() {
    this.#follows = true;
    this.#follow();
  }

  /** Puts the focus on the way to the next branch, after it was pressed. */
  focusTurn(message, step) {
    const buttons = [...(this.#items.get(message.id)?.item.querySelectorAll(".branches button") ?? [])];
    (buttons[step < 0 ? 0 : 1]?.disabled ? buttons.find(each => !each.disabled) : buttons[step < 0 ? 0 : 1])?.focus();
  }

  /** Puts a message of the user into a field, to be changed. */
  edit(message) {
    const { item, body } = this.#items.get(message.id);
    const field = element("textarea", { "aria-label": t("message") });
    const back = () => {
      form.replaceWith(body);
      item.classList.remove("editing");
      item.querySelector("[data-action=edit]")?.focus();
    };
    const send = () => {
      if (field.value.trim()) {
        this.#on.edit(message, field.value.trim());
      }
    };
    const form = element(
      "form", { class: "edit", on: { submit: event => { event.preventDefault(); send(); } } },
      field,
      element("div", { class: "actions" }, element("button", { type: "button", on: { click: back } }, t("cancel")), element("button", { type: "submit", class: "primary" }, t("send"))));
    field.value = message.text;
    field.addEventListener("keydown", event => {
      if (event.key === "Escape") {
        event.stopPropagation();
        back();
      } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    });
    item.classList.add("editing");
    body.replaceWith(form);
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }

  #follow() {
    if (this.#follows) {
      scroll.scrollTop = scroll.scrollHeight;
    }
    latest.hidden = this.#follows;
  }

  #item(conversation, message, isRunning, isLast) {
    const isUser = message.role === "user";
    const who = isUser ? t("you") : message.model || t("assistant");
    const name = `message-${message.id}`;
    const body = element("div", { class: isUser ? "text" : "prose", dir: "auto" });
    const reasoning = isUser ? null : element("details", { class: "reasoning", hidden: true }, element("summary", {}, t("reasoning")), element("div", { class: "prose" }));
    const note = element("p", { class: "note", hidden: true });
    const item = element(
      "li", { class: `message ${message.role}`, "aria-busy": isRunning ? "true" : null },
      element("h2", { class: "hidden", id: name }, who),
      reasoning, body, note,
      isRunning ? element("p", { class: "pulse", "aria-hidden": "true" }, element("span"), element("span"), element("span")) : this.#tools(conversation, message, isLast));
    this.#items.set(message.id, { item, body, reasoning, note, prose: isUser ? null : new Prose(body), thoughts: reasoning && new Prose(reasoning.lastChild) });
    this.#fill(message);
    return item;
  }

  #fill(message) {
    const place = this.#items.get(message.id);
    if (!place) {
      return;
    }
    if (message.role === "user") {
      place.body.textContent = message.text;
      return;
    }
    if (message.reasoning) {
      place.reasoning.hidden = false;
      place.thoughts.update(message.reasoning);
    }
    place.prose.update(message.text);
    const note = { length: "endedByLength", stopped: "endedByStop", cut: "endedByCut" }[message.finish];
    place.note.hidden = !note;
    place.note.textContent = note ? t(note) : "";
  }

  #tools(conversation, message, isLast) {
    const tools = element("div", { class: "tools" }, this.#branches(conversation, message));
    tools.append(copyButton(() => message.text, words));
    if (message.role === "user") {
      tools.append(iconButton("edit", t("edit"), () => this.edit(message), { "data-action": "edit" }));
      if (isLast) {
        tools.append(iconButton("again", t("answer"), () => this.#on.again(message), { "data-action": "again" }));
      }
      return tools;
    }
    tools.append(
      iconButton("again", t("regenerate"), () => this.#on.again(message), { "data-action": "again" }),
      this.#rating(message, "up"), this.#rating(message, "down"),
      element("span", { class: "badge", hidden: !message.servedBy, title: message.servedWhy ?? t("servedBy") }, message.servedBy === "local" ? t("servedHere") : message.servedBy ?? ""),
      element("span", { class: "measure" }, message.perSecond ? t("measure", { tokens: words.number(message.tokens), rate: words.number(message.perSecond, 1) }) : ""));
    return tools;
  }

  #rating(message, rating) {
    return iconButton(`thumb-${rating}`, t(rating === "up" ? "rateUp" : "rateDown"), () => this.#on.rate(message, rating), {
      hidden: !this.takesFeedback || !message.answerId, "aria-pressed": String(message.rating === rating), "data-action": rating,
    });
  }

  #branches(conversation, message) {
    const all = siblings(conversation, message);
    if (all.length < 2) {
      return null;
    }
    const at = all.indexOf(message);
    const turn = step => () => this.#on.turn(message, step);
    return element(
      "span", { class: "branches", role: "group", "aria-label": t("branches") },
      iconButton("previous", t("previousBranch"), turn(-1), { disabled: at === 0 }),
      element("span", {}, t("branchOf", { which: at + 1, all: all.length })),
      iconButton("next", t("nextBranch"), turn(1), { disabled: at === all.length - 1 }));
  }
}
