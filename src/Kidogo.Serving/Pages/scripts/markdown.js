// Shows Markdown as elements that this file makes itself: text of a model goes into text nodes only, so there is nothing in it that could run.
import { copyButton, element } from "./dom.js";
import { highlight } from "./highlight.js";
import { blocks } from "./markdown-blocks.js";
import { inline } from "./markdown-inline.js";
import * as words from "./words.js";

/** A place that shows a text which may grow: blocks that stay the same stay the same elements. */
export class Prose {
  #place;
  #shown = [];

  constructor(place) {
    this.#place = place;
  }

  /** Shows a text in place of the one before. */
  update(text) {
    const wanted = blocks(text);
    let same = 0;
    while (same < wanted.length && same < this.#shown.length && isSame(this.#shown[same].block, wanted[same])) {
      same++;
    }
    const grown = this.#shown[same];
    if (grown?.block.type === "code" && wanted[same]?.type === "code" && wanted[same].language === grown.block.language) {
      fillCode(grown.node.querySelector("code"), wanted[same]); // its button and its place stay
      grown.block = wanted[same];
      same++;
    }
    for (const { node } of this.#shown.splice(same)) {
      node.remove();
    }
    for (const block of wanted.slice(same)) {
      const node = blockNode(block);
      this.#place.append(node);
      this.#shown.push({ block, node });
    }
  }
}

const isSame = (one, other) => one.source === other.source && one.type === other.type && one.isOpen === other.isOpen;

function blockNode(block) {
  switch (block.type) {
    case "heading": return element(`h${Math.min(6, block.level + 2)}`, {}, ...inlineNodes(inline(block.text))); // below the page's own headings
    case "rule": return element("hr");
    case "code": return codeNode(block);
    case "quote": return element("blockquote", {}, ...block.blocks.map(blockNode));
    case "list": return listNode(block);
    case "table": return tableNode(block);
    default: return element("p", {}, ...inlineNodes(inline(block.text)));
  }
}

function codeNode(block) {
  const code = element("code");
  fillCode(code, block);
  return element(
    "figure", { class: "code" },
    element("figcaption", {}, element("span", {}, block.language), copyButton(() => code.textContent, words)),
    element("pre", { tabindex: "0", "aria-label": block.language || words.t("code") }, code));
}

function fillCode(code, block) {
  const pieces = block.isOpen ? [[null, block.text]] : highlight(block.text, block.language);
  code.replaceChildren(...pieces.map(([kind, text]) => (kind ? element("span", { class: `code-${kind}` }, text) : text)));
}

function listNode(block) {
  const start = block.isOrdered && block.start !== 1 ? block.start : null;
  return element(block.isOrdered ? "ol" : "ul", { start, class: block.isLoose ? "loose" : null }, ...block.items.map(item => {
    const box = item.isDone === null ? null : element("input", { type: "checkbox", disabled: true, checked: item.isDone, "aria-label": words.t(item.isDone ? "taskDone" : "taskOpen") });
    return element("li", { class: box ? "task" : null }, box, ...item.blocks.flatMap(each => (each.type === "paragraph" && !block.isLoose ? inlineNodes(inline(each.text)) : [blockNode(each)])));
  }));
}

function tableNode(block) {
  const row = (cells, name) => element("tr", {}, ...cells.map((cell, column) => element(name, { class: block.alignments[column], scope: name === "th" ? "col" : null }, ...inlineNodes(inline(cell)))));
  return element(
    "div", { class: "table", tabindex: "0", role: "region", "aria-label": words.t("table") },
    element("table", {}, element("thead", {}, row(block.head, "th")), element("tbody", {}, ...block.rows.map(cells => row(cells, "td")))));
}

function inlineNodes(parts) {
  return parts.map(part => {
    switch (part.type) {
      case undefined: return part;
      case "code": return element("code", {}, part.text);
      case "break": return element("br");
      case "link": return element("a", { href: part.href, title: part.href, target: "_blank", rel: "noopener noreferrer" }, ...inlineNodes(part.parts));
      default: return element({ strong: "strong", emphasis: "em", strike: "del" }[part.type], {}, ...inlineNodes(part.parts));
    }
  });
}
