// The page for developers: the examples with this server's address and its models' names. Knows no conversations.
import * as brand from "./brand.js";
import { byId, copyButton, element } from "./dom.js";
import { examples, languages } from "./examples.js";
import { highlight } from "./highlight.js";
import * as preferences from "./preferences.js";
import * as server from "./server.js";
import * as words from "./words.js";

const { t } = words;
const address = `${location.origin}/v1`;
const choice = byId("model"), tabs = byId("languages"), place = byId("examples");
let language = preferences.get("apiLanguage", "bash");
let encoder = null;

await words.load();
document.title = `${t("apiTitle")} – ${brand.name}`;
document.querySelector("[data-brand]").textContent = brand.name;
byId("address").textContent = address;
tabs.append(...Object.entries(languages).map(([name, label]) => element(
  "button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "examples", "data-language": name, on: { click: () => choose(name) } }, label)));
tabs.addEventListener("keydown", event => {
  const all = [...tabs.children];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) {
    event.preventDefault();
    choose(all.at((all.indexOf(document.activeElement) + step) % all.length).dataset.language);
    byId(`tab-${language}`).focus();
  }
});
choice.addEventListener("change", show);
await findModels();
choose(Object.hasOwn(languages, language) ? language : "bash");

async function findModels() {
  let found = [];
  try {
    found = await server.models();
  } catch (failure) {
    byId("told").textContent = t(failure.kind === "key" ? "apiNoModels" : failure.kind === "offline" ? "failedOffline" : "failedOther", { message: failure.message });
    byId("told").hidden = false;
  }
  encoder = found.find(each => each.type === "encoder")?.id ?? null;
  const writers = found.filter(each => each.type === "decoder").map(each => each.id);
  choice.replaceChildren(...(writers.length > 0 ? writers : ["MODEL"]).map(id => element("option", { value: id }, id)));
  const last = preferences.get("model");
  if (writers.includes(last)) {
    choice.value = last;
  }
}

function choose(name) {
  language = name;
  preferences.set("apiLanguage", name);
  for (const tab of tabs.children) {
    const isChosen = tab.dataset.language === name;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
  }
  place.setAttribute("aria-labelledby", `tab-${name}`);
  show();
}

function show() {
  place.replaceChildren(...examples.flatMap(({ title, write, needsEncoder }) => {
    const code = write(language, address, needsEncoder ? encoder ?? "all-MiniLM-L6-v2" : choice.value);
    return [
      element("h2", {}, t(title)),
      needsEncoder && !encoder ? element("p", { class: "examples-note" }, t("apiNoEncoder")) : null,
      element(
        "figure", { class: "code", "data-example": title },
        element("figcaption", {}, element("span", {}, languages[language]), copyButton(() => code, words)),
        element("pre", { tabindex: "0", "aria-label": t(title) }, element("code", {}, ...highlight(code, language).map(([kind, text]) => (kind ? element("span", { class: `code-${kind}` }, text) : text))))),
    ].filter(each => each !== null);
  }));
}
