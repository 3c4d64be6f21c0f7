// What this browser remembers beside the conversations: language, theme, defaults. Where storage is forbidden, it remembers until the page is closed.
const prefix = "kidogo.";
const unkept = new Map();

/** A value, or what holds where there is none. */
export function get(name, otherwise = null) {
  try {
    return JSON.parse(localStorage.getItem(prefix + name) ?? "null") ?? otherwise;
  } catch {
    return unkept.get(name) ?? otherwise;
  }
}

/** Remembers a value; null forgets it. */
export function set(name, value) {
  unkept.set(name, value);
  try {
    if (value === null) {
      localStorage.removeItem(prefix + name);
    } else {
      localStorage.setItem(prefix + name, JSON.stringify(value));
    }
  } catch {
    // The memory above has it.
  }
}
