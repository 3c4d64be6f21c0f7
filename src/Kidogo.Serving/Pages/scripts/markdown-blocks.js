// Markdown's blocks: headings, lists, quotes, tables, code. Reads lines and returns plain objects; knows no HTML, and takes time in proportion to the text whatever it is.

const deepest = 8, mostColumns = 50;

/** The blocks of a text. Each has its `source`, so that who shows a text that grows can tell what has changed. */
export function blocks(text, depth = 0) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const found = [];
  for (let at = 0; at < lines.length;) {
    if (isBlank(lines[at])) {
      at++;
      continue;
    }
    const start = at;
    const [block, after] = read(lines, at, depth);
    at = after;
    found.push({ ...block, source: lines.slice(start, after).join("\n") });
  }
  return found;
}

function read(lines, at, depth) {
  const line = lines[at];
  const fence = fenceOf(line);
  if (fence) {
    return code(lines, at, fence);
  }
  const heading = headingOf(line);
  if (heading) {
    return [heading, at + 1];
  }
  if (isRule(line)) {
    return [{ type: "rule" }, at + 1];
  }
  if (depth < deepest) {
    if (isQuote(line)) {
      return quote(lines, at, depth);
    }
    const marker = markerOf(line);
    if (marker) {
      return list(lines, at, marker, depth);
    }
  }
  return isTable(lines, at) ? table(lines, at) : paragraph(lines, at, depth);
}

const isBlank = line => line.trim() === "";
const isRule = line => /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/.test(line);
const isQuote = line => /^ {0,3}>/.test(line);

function fenceOf(line) {
  const found = /^( {0,3})(`{3,}|~{3,})(.*)$/.exec(line);
  return found && !(found[2][0] === "`" && found[3].includes("`")) ? { indent: found[1].length, mark: found[2], language: found[3].trim().split(/\s/, 1)[0] } : null;
}

function headingOf(line) {
  const found = /^ {0,3}(#{1,6})(?=\s|$)/.exec(line);
  if (!found) {
    return null;
  }
  const text = line.slice(found[0].length).trim();
  let end = text.length;
  while (text[end - 1] === "#") {
    end--;
  }
  const isClosed = end < text.length && (end === 0 || text[end - 1] === " ");
  return { type: "heading", level: found[1].length, text: isClosed ? text.slice(0, end).trim() : text };
}

function markerOf(line) {
  const found = /^([ \t]*)([-*+]|\d{1,9}[.)])([ \t]+|$)/.exec(line);
  if (!found || isRule(line)) {
    return null;
  }
  const indent = width(found[1]);
  const spaces = found[3].length;
  const isEmpty = found[0].length === line.length;
  return { indent, offset: indent + found[2].length + (isEmpty || spaces > 4 ? 1 : spaces), mark: found[2].at(-1), number: Number.parseInt(found[2], 10) };
}

/** How many columns blanks take: a tab goes on to the next fourth. */
function width(blanks) {
  let columns = 0;
  for (const blank of blanks) {
    columns += blank === "\t" ? 4 - (columns % 4) : 1;
  }
  return columns;
}

/** A line without so many columns of indentation. */
function outdent(line, columns) {
  let at = 0;
  for (let column = 0; column < columns && (line[at] === " " || line[at] === "\t"); at++) {
    column += line[at] === "\t" ? 4 - (column % 4) : 1;
  }
  return line.slice(at);
}

function code(lines, at, fence) {
  const content = [];
  for (let i = at + 1; i < lines.length; i++) {
    const close = /^ {0,3}(`{3,}|~{3,})[ \t]*$/.exec(lines[i]);
    if (close && close[1][0] === fence.mark[0] && close[1].length >= fence.mark.length) {
      return [{ type: "code", language: fence.language, text: content.join("\n"), isOpen: false }, i + 1];
    }
    content.push(outdent(lines[i], fence.indent));
  }
  return [{ type: "code", language: fence.language, text: content.join("\n"), isOpen: true }, lines.length];
}

function quote(lines, at, depth) {
  let after = at;
  const content = [];
  for (; after < lines.length && isQuote(lines[after]); after++) {
    content.push(lines[after].replace(/^ {0,3}> ?/, ""));
  }
  return [{ type: "quote", blocks: blocks(content.join("\n"), depth + 1) }, after];
}

function list(lines, at, first, depth) {
  const isOrdered = !Number.isNaN(first.number);
  const items = [];
  let after = at, offset = first.offset, isLoose = false, wasBlank = false;
  for (; after < lines.length; after++) {
    const line = lines[after];
    if (isBlank(line)) {
      wasBlank = true;
      items.at(-1).push("");
      continue;
    }
    const marker = markerOf(line);
    const indent = marker?.indent ?? leading(line);
    // Two columns more than the list's own are enough for what is nested: models count them in several ways.
    const isInside = items.length > 0 && indent >= Math.min(offset, first.indent + 2);
    if (marker && !isInside) {
      if (marker.mark !== first.mark) {
        break;
      }
      isLoose ||= wasBlank;
      offset = marker.offset;
      items.push([afterMarker(line)]);
    } else if (isInside) {
      items.at(-1).push(outdent(line, Math.min(offset, indent)));
    } else if (wasBlank || startsBlock(lines, after, depth)) {
      break;
    } else {
      items.at(-1).push(line.trimStart());
    }
    wasBlank = false;
  }
  return [{ type: "list", isOrdered, start: first.number, isLoose, items: items.map(item => itemOf(item, depth)) }, after];
}

function itemOf(lines, depth) {
  const task = /^\[([ xX])\][ \t]/.exec(lines[0]);
  const content = task ? [lines[0].slice(task[0].length), ...lines.slice(1)] : lines;
  return { isDone: task ? task[1] !== " " : null, blocks: blocks(content.join("\n"), depth + 1) };
}

const leading = line => width(/^[ \t]*/.exec(line)[0]);
const afterMarker = line => line.replace(/^[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]?[ \t]{0,3}/, "");

/** Whether a line with its successor begins a table. */
function isTable(lines, at) {
  if (!lines[at].includes("|") || !(lines[at + 1] ?? "").includes("-")) {
    return false;
  }
  const rule = cells(lines[at + 1]);
  return rule.length <= mostColumns && rule.every(cell => /^:?-+:?$/.test(cell)) && rule.length === cells(lines[at]).length && (rule.length > 1 || lines[at + 1].includes("|"));
}

function table(lines, at) {
  const alignments = cells(lines[at + 1]).map(cell => (cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "end") : "start"));
  const rows = [];
  let after = at + 2;
  for (; after < lines.length && lines[after].includes("|"); after++) {
    const row = cells(lines[after]);
    rows.push(alignments.map((_, column) => row[column] ?? ""));
  }
  return [{ type: "table", alignments, head: cells(lines[at]), rows }, after];
}

/** The cells of a row: what is between bars that no backslash makes plain. */
function cells(line) {
  const found = [];
  let cell = "";
  const trimmed = line.trim();
  for (let i = trimmed.startsWith("|") ? 1 : 0; i < trimmed.length; i++) {
    if (trimmed[i] === "\\" && trimmed[i + 1] === "|") {
      cell += "|";
      i++;
    } else if (trimmed[i] === "|") {
      found.push(cell.trim());
      cell = "";
    } else {
      cell += trimmed[i];
    }
  }
  return trimmed.endsWith("|") && cell === "" ? found : [...found, cell.trim()];
}

function startsBlock(lines, at, depth) {
  const line = lines[at];
  return fenceOf(line) !== null || headingOf(line) !== null || isRule(line) || isTable(lines, at)
    || (depth < deepest && (isQuote(line) || markerOf(line) !== null));
}

function paragraph(lines, at, depth) {
  let after = at + 1;
  while (after < lines.length && !isBlank(lines[after]) && !startsBlock(lines, after, depth)) {
    after++;
  }
  return [{ type: "paragraph", text: lines.slice(at, after).map(line => line.trim()).join("\n") }, after];
}
