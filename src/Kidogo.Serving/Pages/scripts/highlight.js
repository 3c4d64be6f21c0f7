// Colours for code, lightly: comments, strings, numbers and the commonest keywords. Knows words, no grammars.

const longest = 30_000;
const slashes = String.raw`\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)`;
const hashes = String.raw`#[^\n]*`;
const dashes = String.raw`--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)`;
const quotes = String.raw`"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?`;
const templates = String.raw`|\x60(?:[^\x60\\]|\\[\s\S])*\x60?`;
const triples = String.raw`"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|`;

const families = [
  {
    names: ["js", "javascript", "ts", "typescript", "jsx", "tsx", "mjs"],
    comments: slashes, strings: quotes + templates,
    keywords: "as async await break case catch class const continue default delete do else export extends false finally for from function if import in instanceof interface let new null of return static super switch this throw true try type typeof undefined var void while yield",
  },
  {
    names: ["cs", "csharp", "c#", "java", "kotlin", "kt", "swift", "c", "cpp", "c++", "h", "go", "rust", "rs", "php", "dart", "scala"],
    comments: slashes, strings: quotes,
    keywords: "abstract as async await base bool boolean break byte case catch char class const continue default do double else enum extends extern false final finally float fn for foreach from func fun function if impl implements import in int interface internal is let long match mod mut namespace new nil null object out override package private protected pub public readonly record ref return sealed short static string struct super switch this throw throws trait true try type typeof uint unsafe use using val var virtual void when where while with yield",
  },
  {
    names: ["py", "python"],
    comments: hashes, strings: triples + quotes,
    keywords: "and as assert async await break class continue def del elif else except False finally for from global if import in is lambda None nonlocal not or pass raise return self True try while with yield",
  },
  {
    names: ["sh", "bash", "shell", "zsh", "console", "ruby", "rb", "r", "yaml", "yml", "toml", "dockerfile", "make", "perl"],
    comments: hashes, strings: quotes,
    keywords: "begin case cd class curl def do done echo elif else elsif end esac export false fi for function if in library local module nil null require return then true unless until while yes no",
  },
  {
    names: ["sql"],
    comments: dashes, strings: quotes, ignoresCase: true,
    keywords: "add all alter and as asc between by case create delete desc distinct drop else end exists from group having in index inner insert into is join key left like limit not null on or order outer primary references right select set table then union unique update values when where with",
  },
  { names: ["json", "jsonc"], comments: slashes, strings: quotes, keywords: "true false null" },
  { names: ["css", "scss"], comments: slashes, strings: quotes, keywords: "important media supports import root" },
  { names: ["html", "xml", "svg"], comments: String.raw`<!--[\s\S]*?(?:-->|$)`, strings: quotes, keywords: "" },
].map(family => ({
  ...family,
  pattern: new RegExp(`(?<comment>${family.comments})|(?<string>${family.strings})|(?<number>\\b\\d[\\w.]*)|(?<word>[\\p{L}_$][\\p{L}\\d_$]*)`, "gu"),
  keywords: new Set(family.keywords.split(" ")),
}));

/** A code in pieces: [kind or null, text]. Together they are the code. */
export function highlight(code, language) {
  const family = families.find(each => each.names.includes(language.toLowerCase()));
  if (!family || code.length > longest) {
    return [[null, code]];
  }
  const pieces = [];
  let at = 0;
  for (const found of code.matchAll(family.pattern)) {
    const { comment, string, number, word } = found.groups;
    const kind = comment ? "comment" : string ? "string" : number ? "number" : family.keywords.has(family.ignoresCase ? word.toLowerCase() : word) ? "keyword" : null;
    if (kind) {
      pieces.push([null, code.slice(at, found.index)], [kind, found[0]]);
      at = found.index + found[0].length;
    }
  }
  return [...pieces, [null, code.slice(at)]].filter(([, text]) => text !== "");
}
