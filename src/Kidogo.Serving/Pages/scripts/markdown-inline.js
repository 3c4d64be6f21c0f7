// Markdown within a line: emphasis, code, links. Returns plain objects; knows no HTML, and takes time in proportion to the text whatever it is.

const deepest = 24, longestAddress = 2000;
const entities = { amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'", "#39": "'", nbsp: "\u00a0" };

/** Where a link may lead: another page or a mail, by its whole address. Anything else is null. */
export function safeAddress(text) {
  try {
    const address = new URL(text);
    return ["http:", "https:", "mailto:"].includes(address.protocol) ? address.href : null;
  } catch {
    return null;
  }
}

/** The parts of a text: strings, and objects of type code, strong, emphasis, strike, link or break. */
export function inline(text) {
  return new Reader(text).read();
}

class Reader {
  #text;
  #at = 0;
  #closed = 0; // how much of a run the last emphasis took that ended
  #unclosed = new Set(); // lengths of runs of backticks that nothing closes
  #open = [{ mark: null, parts: [] }]; // what has begun and not ended: emphasis and brackets

  constructor(text) {
    this.#text = text;
  }

  read() {
    while (this.#at < this.#text.length) {
      this.#step();
    }
    while (this.#open.length > 1) {
      this.#forget(this.#open.length - 1);
    }
    return this.#open[0].parts;
  }

  #step() {
    const next = this.#text[this.#at];
    switch (next) {
      case "\\": return this.#escape();
      case "`": return this.#code();
      case "*": case "_": case "~": return this.#emphasis(next);
      case "!": return this.#text[this.#at + 1] === "[" ? this.#begin("![", 2) : this.#plain(1);
      case "[": return this.#begin("[", 1);
      case "]": return this.#endLink();
      case "<": return this.#angle();
      case "&": return this.#entity();
      case "\n": return this.#add({ type: "break" }, 1);
      default: return this.#words();
    }
  }

  #add(part, length) {
    const parts = this.#open.at(-1).parts;
    if (typeof part === "string" && typeof parts.at(-1) === "string") {
      parts[parts.length - 1] += part;
    } else if (part !== "") {
      parts.push(part);
    }
    this.#at += length;
  }

  #plain(length) {
    this.#add(this.#text.slice(this.#at, this.#at + length), length);
  }

  #words() {
    const found = this.#match(/[^\\`*_~![\]<&\n]+/y)[0];
    const address = /https?:\/\//i.exec(found);
    const isWord = address && /\w$/.test(found.slice(0, address.index));
    if (!address || isWord || this.#isInLink()) {
      this.#plain(found.length);
    } else if (address.index > 0) {
      this.#plain(address.index);
    } else {
      this.#bareAddress();
    }
  }

  #bareAddress() {
    let found = this.#match(/[^\s<>"'`|\\^{}]{1,2000}/y)[0];
    while (/[.,;:!?*_~)\]]$/.test(found) && !(found.endsWith(")") && count(found, "(") >= count(found, ")"))) {
      found = found.slice(0, -1);
    }
    const href = safeAddress(found);
    this.#add(href ? { type: "link", href, parts: [found] } : found, found.length);
  }

  #match(pattern) {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text);
  }

  #escape() {
    const found = this.#match(/\\([!-/:-@[-`{-~])/y);
    return found ? this.#add(found[1], 2) : this.#plain(1);
  }

  #entity() {
    const found = this.#match(/&(amp|lt|gt|quot|apos|#39|nbsp);/y);
    return found ? this.#add(entities[found[1]], found[0].length) : this.#plain(1);
  }

  #code() {
    const run = this.#match(/`+/y)[0].length;
    if (!this.#unclosed.has(run)) {
      const runs = /`+/g;
      runs.lastIndex = this.#at + run;
      for (let found; (found = runs.exec(this.#text));) {
        if (found[0].length === run) {
          const inside = this.#text.slice(this.#at + run, found.index).replaceAll("\n", " ");
          const isPadded = inside.startsWith(" ") && inside.endsWith(" ") && inside.trim() !== "";
          return this.#add({ type: "code", text: isPadded ? inside.slice(1, -1) : inside }, found.index + run - this.#at);
        }
      }
      this.#unclosed.add(run);
    }
    return this.#plain(run);
  }

  #angle() {
    const address = this.#match(/<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/iy);
    const href = address && safeAddress(address[1]);
    if (href) {
      return this.#add({ type: "link", href, parts: [address[1]] }, address[0].length);
    }
    const rule = this.#match(/<br\s?\/?>/iy); // the one tag that models write where nothing else makes a new line
    return rule ? this.#add({ type: "break" }, rule[0].length) : this.#plain(1);
  }

  #emphasis(mark) {
    let run = this.#match(mark === "*" ? /\*+/y : mark === "_" ? /_+/y : /~+/y)[0].length;
    const before = this.#text[this.#at - 1] ?? " ", after = this.#text[this.#at + run] ?? " ";
    const opens = !isSpace(after) && (!isPunctuation(after) || isSpace(before) || isPunctuation(before));
    const closes = !isSpace(before) && (!isPunctuation(before) || isSpace(after) || isPunctuation(after));
    const mayOpen = opens && (mark !== "_" || !closes || isPunctuation(before));
    const mayClose = closes && (mark !== "_" || !opens || isPunctuation(after));
    if (run > 3 || (mark === "~" && run !== 2)) {
      return this.#plain(run);
    }
    while (mayClose && run > 0 && this.#end(mark, run)) {
      run -= this.#closed;
    }
    if (run > 0 && mayOpen && this.#open.length + 2 < deepest) {
      if (run >= 2) {
        this.#begin(mark + mark, 2);
      }
      return run === 2 ? undefined : this.#begin(mark, 1);
    }
    return this.#plain(run);
  }

  /** Ends the innermost emphasis of a mark that is no longer than the run. */
  #end(mark, run) {
    for (let i = this.#open.length - 1; i > 0 && !this.#open[i].mark.endsWith("["); i--) {
      const found = this.#open[i].mark;
      if (found[0] === mark && found.length <= run) {
        while (this.#open.length - 1 > i) {
          this.#forget(this.#open.length - 1);
        }
        const { parts } = this.#open.pop();
        this.#closed = found.length;
        this.#add({ type: mark === "~" ? "strike" : found.length === 2 ? "strong" : "emphasis", parts }, found.length);
        return true;
      }
    }
    return false;
  }

  #begin(mark, length) {
    if (this.#open.length >= deepest) {
      return this.#plain(length);
    }
    this.#open.push({ mark, parts: [] });
    this.#at += length;
  }

  /** What has begun did not end: its mark was text. */
  #forget(index) {
    const [{ mark, parts }] = this.#open.splice(index, 1);
    const below = this.#open[index - 1].parts;
    for (const part of [mark, ...parts]) {
      if (typeof part === "string" && typeof below.at(-1) === "string") {
        below[below.length - 1] += part;
      } else {
        below.push(part);
      }
    }
  }

  #isInLink() {
    return this.#open.some(each => each.mark?.endsWith("["));
  }

  #endLink() {
    const index = this.#open.findLastIndex(each => each.mark?.endsWith("["));
    if (index < 0) {
      return this.#plain(1);
    }
    const destination = this.#destination();
    const href = destination && safeAddress(destination.address);
    if (!href) {
      this.#forget(index);
      return this.#plain(1);
    }
    while (this.#open.length - 1 > index) {
      this.#forget(this.#open.length - 1);
    }
    const { parts } = this.#open.pop();
    for (let i = this.#open.length - 1; i > 0; i--) {
      if (this.#open[i].mark === "[") {
        this.#forget(i); // links do not contain links
      }
    }
    // A picture would be fetched from elsewhere: it is shown as a link to it.
    return this.#add({ type: "link", href, parts: parts.length > 0 ? parts : [href] }, destination.length);
  }

  /** `](address "title")`, from the bracket on. */
  #destination() {
    const text = this.#text.slice(this.#at, this.#at + longestAddress);
    const found = /^\]\(\s?(?:<([^<>\n]*)>|((?:[^\s()<>]|\([^\s()<>]*\))+))(?:\s+(?:"[^"]*"|'[^']*'))?\s?\)/.exec(text);
    return found ? { address: found[1] ?? found[2], length: found[0].length } : null;
  }
}

const isSpace = character => /\s/.test(character);
const isPunctuation = character => /[\p{P}\p{S}]/u.test(character);
const count = (text, character) => text.split(character).length - 1;
