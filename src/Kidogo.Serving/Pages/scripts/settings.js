// The dialog of settings: how a conversation is answered, and what this browser keeps. Knows the names of fields, not what they do.
import { byId, element } from "./dom.js";
import * as preferences from "./preferences.js";
import * as server from "./server.js";
import { t } from "./words.js";

const dialog = byId("settings-dialog"), form = dialog.querySelector("form");

/** The numbers that a conversation may set, with their ranges. What is left empty is the model's own choice. */
const numbers = [
  { name: "temperature", least: 0, most: 2, step: 0.05 },
  { name: "top_p", least: 0, most: 1, step: 0.01 },
  { name: "top_k", least: 0, most: 1_000_000, step: 1 },
  { name: "min_p", least: 0, most: 1, step: 0.01 },
  { name: "repetition_penalty", least: 0.01, most: 100, step: 0.01 },
  { name: "max_tokens", least: 1, most: 1_000_000, step: 1 },
  { name: "seed", least: 0, most: Number.MAX_SAFE_INTEGER, step: 1 },
];

/** What new conversations begin with. */
export const defaults = () => ({ system: "", thinking: "", ...preferences.get("defaults", {}) });

/** The fields of a request that a conversation's settings ask for. */
export function fieldsOf(settings) {
  const fields = Object.fromEntries(numbers.filter(({ name }) => typeof settings[name] === "number").map(({ name }) => [name, settings[name]]));
  if (settings.thinking) {
    fields.reasoning_effort = settings.thinking === "on" ? "medium" : "none";
  }
  return fields;
}

/** Shows the dialog. `save(settings)` is called with what was set; `properties` are the model's, if known. */
export function show(settings, properties, save, focus = "system") {
  byId("sampling").replaceChildren(...numbers.map(field => numberField(field, settings, properties?.defaults ?? {})));
  byId("thinking").hidden = !properties?.canThink && !settings.thinking;
  byId("consent").hidden = !properties?.takesFeedback;
  byId("settings-error").textContent = "";
  form.system.value = settings.system ?? "";
  form.thinking.value = settings.thinking ?? "";
  form.asDefault.checked = false;
  form.key.value = server.key();
  form.rememberKey.checked = server.isKeyRemembered();
  form.consent.checked = preferences.get("consent") === true;
  form.onsubmit = event => {
    const wrong = [...byId("sampling").querySelectorAll("input")].find(field => !field.checkValidity());
    if (wrong) {
      event.preventDefault();
      byId("settings-error").textContent = t("notInRange", { field: t(wrong.name), least: wrong.min, most: wrong.max });
      wrong.setAttribute("aria-invalid", "true");
      wrong.focus();
      return;
    }
    server.setKey(form.key.value.trim(), form.rememberKey.checked);
    preferences.set("consent", form.consent.checked ? true : null);
    const wanted = read();
    if (form.asDefault.checked) {
      preferences.set("defaults", wanted);
    }
    save(wanted);
  };
  dialog.showModal();
  form[focus].focus();
}

function numberField({ name, least, most, step }, settings, own) {
  const field = element("input", {
    type: "number", name, min: least, max: most, step: Number.isInteger(step) ? step : "any", inputmode: Number.isInteger(step) ? "numeric" : "decimal",
    placeholder: own[name] === undefined ? "" : String(Number(own[name].toFixed(4))), "aria-describedby": `about-${name}`,
  });
  field.value = settings[name] ?? "";
  return element("label", {}, element("span", {}, t(name)), field, element("small", { id: `about-${name}` }, t(`${name}_about`)));
}

function read() {
  const settings = { system: form.system.value, thinking: form.thinking.value };
  for (const { name } of numbers) {
    if (form[name].value !== "") {
      settings[name] = form[name].valueAsNumber;
    }
  }
  return settings;
}

dialog.querySelector("button[value=cancel]").addEventListener("click", () => dialog.close());
