// Reads the types of the installed `openai` package and writes request-fields.json: every field that a request may have, outer and inner, each in a request that has it.
// Knows the few forms of TypeScript that the package's generated declarations are written in, and no server.
//
//   npm ci && node request-fields.mjs [FOLDER-OF-THE-PACKAGE]
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const folder = resolve(process.argv[2] ?? join(here, 'node_modules', 'openai'));
const version = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version;

const requests = {
  '/v1/chat/completions': ['resources/chat/completions/completions', 'ChatCompletionCreateParamsBase', { messages: [{ role: 'user', content: 'a' }] }],
  '/v1/completions': ['resources/completions', 'CompletionCreateParamsBase', { prompt: 'a' }],
  '/v1/embeddings': ['resources/embeddings', 'EmbeddingCreateParams', { input: 'a' }],
  '/v1/responses': ['resources/responses/responses', 'ResponseCreateParamsBase', { input: 'a' }],
};

const modules = new Map();

// A module's declarations by their full names: { kind: 'object', fields, bases } or { kind: 'type', type }.
function load(path) {
  if (!modules.has(path)) {
    const text = readFileSync(join(folder, `${path}.d.ts`), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
    const module = { path, names: new Map(), imports: new Map() };
    for (const [, alias, from] of text.matchAll(/^import \* as (\w+) from "([^"]+)\.js"/gm)) {
      module.imports.set(alias, join(dirname(path), from));
    }

    modules.set(path, module);
    declarations(tokens(text), module, '');
  }

  return modules.get(path);
}

function tokens(text) {
  return [...text.matchAll(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|=>|[A-Za-z_$][\w$.]*|-?\d+(?:\.\d+)?|\S/g)].map((match) => match[0]);
}

function declarations(list, module, scope) {
  const at = { i: 0 };
  while (at.i < list.length) {
    const word = list[at.i++];
    if (word === 'interface') {
      const name = list[at.i++];
      const bases = [];
      skipAngles(list, at);
      if (list[at.i] === 'extends') {
        at.i++;
        while (list[at.i] !== '{') {
          const base = list[at.i++];
          skipAngles(list, at);
          if (base !== ',') {
            bases.push(base);
          }
        }
      }

      const body = block(list, at);
      module.names.set(scope + name, { kind: 'object', scope: scope + name, ...fieldsOf(body), bases });
    } else if (word === 'namespace') {
      const name = list[at.i++];
      declarations(block(list, at), module, `${scope}${name}.`);
    } else if (word === 'type' && /^\w+$/.test(list[at.i] ?? '') && ['=', '<'].includes(list[at.i + 1])) {
      const name = list[at.i++];
      skipAngles(list, at);
      at.i++;
      const type = [];
      for (let depth = 0; at.i < list.length && !(depth === 0 && list[at.i] === ';'); at.i++) {
        depth += '{(['.includes(list[at.i]) ? 1 : '})]'.includes(list[at.i]) ? -1 : 0;
        type.push(list[at.i]);
      }

      module.names.set(scope + name, { kind: 'type', scope: scope + name, type });
    } else if (word === 'class') {
      while (list[at.i] !== '{') {
        at.i++;
      }

      block(list, at);
    }
  }
}

function block(list, at) {
  const start = ++at.i;
  for (let depth = 1; depth > 0; at.i++) {
    depth += list[at.i] === '{' ? 1 : list[at.i] === '}' ? -1 : 0;
  }

  return list.slice(start, at.i - 1);
}

function skipAngles(list, at) {
  if (list[at.i] !== '<') {
    return;
  }

  for (let depth = 0; at.i < list.length; at.i++) {
    depth += list[at.i] === '<' ? 1 : list[at.i] === '>' ? -1 : 0;
    if (depth === 0) {
      at.i++;
      return;
    }
  }
}

function fieldsOf(body) {
  const fields = new Map();
  let isMap = false;
  for (let i = 0; i < body.length;) {
    let name = body[i++];
    if (name === '[') {
      isMap = true; // [key: string]: …
      i = body.indexOf(']', i) + 1;
      name = null;
    }

    name = name?.replace(/^['"]|['"]$/g, '') ?? null;
    const isOptional = body[i] === '?';
    i += isOptional ? 2 : 1;
    const type = [];
    for (let depth = 0; i < body.length && !(depth === 0 && body[i] === ';'); i++) {
      depth += '{(['.includes(body[i]) ? 1 : '})]'.includes(body[i]) ? -1 : 0;
      type.push(body[i]);
    }

    i++;
    if (name !== null) {
      fields.set(name, { type, isOptional });
    }
  }

  return { fields, isMap };
}

function find(name, module, scope) {
  const parts = scope.split('.');
  for (let depth = parts.length; depth >= 0; depth--) {
    const full = [...parts.slice(0, depth), name].join('.');
    if (module.names.has(full)) {
      return { ...module.names.get(full), module };
    }
  }

  const [alias, ...rest] = name.split('.');
  if (module.imports.has(alias)) {
    return find(rest.join('.'), load(module.imports.get(alias)), '');
  }

  throw new Error(`${name} is not declared in ${module.path}`);
}

function alternatives(type) {
  const parts = [[]];
  let depth = 0;
  for (const token of type) {
    depth += '{([<'.includes(token) ? 1 : '})]>'.includes(token) ? -1 : 0;
    if (token === '|' && depth === 0) {
      parts.push([]);
    } else {
      parts.at(-1).push(token);
    }
  }

  return parts.filter((part) => part.length > 0);
}

// What a type may be: { value } for something simple, { array: type } or { object }.
function* forms(type, module, scope) {
  for (const part of alternatives(type)) {
    const first = part[0];
    if (first === 'null' || first === 'undefined') {
      continue;
    } else if (first === '(') {
      const inner = part.slice(1, part.lastIndexOf(')'));
      yield* inner.includes('&') ? [{ value: 'a' }] : forms(inner, module, scope);
    } else if (/^['"]/.test(first)) {
      yield { value: first.slice(1, -1) };
    } else if (/^-?\d/.test(first)) {
      yield { value: Number(first) };
    } else if (first === 'string') {
      yield part[1] === '[' ? { array: ['string'], module, scope } : { value: 'a' };
    } else if (first === 'number') {
      yield { value: 1 };
    } else if (first === 'boolean' || first === 'true') {
      yield { value: true };
    } else if (first === 'false') {
      yield { value: false };
    } else if (first === 'unknown' || first === 'any') {
      yield { value: { type: 'object' } };
    } else if (first === 'Array' || first === 'ReadonlyArray') {
      yield { array: part.slice(2, -1), module, scope };
    } else if (first === 'Record') {
      yield { value: { type: 'object' } };
    } else if (first === '{') {
      const { fields, isMap } = fieldsOf(part.slice(1, -1));
      yield isMap ? { value: { 65: 1 } } : { object: { kind: 'object', scope, module, fields, bases: [] }, name: scope };
    } else {
      const found = find(first, module, scope);
      if (found.kind === 'type') {
        yield* forms(found.type, found.module, found.scope);
      } else if (found.isMap && found.fields.size === 0) {
        yield { value: { type: 'object' } };
      } else {
        yield { object: found, name: found.scope };
      }
    }
  }
}

function allFields(object) {
  const all = new Map();
  for (const base of object.bases) {
    for (const [name, field] of allFields(find(base, object.module, object.scope))) {
      all.set(name, field);
    }
  }

  for (const [name, field] of object.fields) {
    all.set(name, { ...field, module: object.module, scope: object.scope });
  }

  return all;
}

// The smallest value of a form.
function sample(form, depth = 0) {
  if ('value' in form) {
    return form.value;
  } else if (form.array) {
    return [smallest(form.array, form.module, form.scope, depth)];
  }

  const value = {};
  for (const [name, field] of allFields(form.object)) {
    if (!field.isOptional) {
      value[name] = smallest(field.type, field.module, field.scope, depth + 1);
    }
  }

  return value;
}

function smallest(type, module, scope, depth) {
  if (depth > 8) {
    throw new Error(`${type.join(' ')} does not end`);
  }

  const [form] = forms(type, module, scope);
  return sample(form, depth);
}

// The largest value of an optional field: of several words the last, since the first is often what holds anyway.
function telling(type, module, scope) {
  const all = [...forms(type, module, scope)];
  return sample(all.every((form) => 'value' in form) ? all.at(-1) : all[0]);
}

// Visits each object type under a field: a row for the smallest object of the type, and one for each field that it may have beside.
function visit(type, module, scope, path, place, above, rows) {
  for (const form of forms(type, module, scope)) {
    if (form.array) {
      visit(form.array, form.module, form.scope, `${path}[0]`, (value) => place([value]), above, rows);
    } else if (form.object && !above.includes(form.object.scope)) {
      const whole = sample(form);
      const kind = form.object.scope;
      rows.push([path, kind, place(whole)]);
      for (const [name, field] of allFields(form.object)) {
        if (field.isOptional) {
          rows.push([`${path}.${name}`, kind, place({ ...whole, [name]: telling(field.type, field.module, field.scope) })]);
        }

        visit(field.type, field.module, field.scope, `${path}.${name}`, (value) => place({ ...whole, [name]: value }), [...above, kind], rows);
      }
    }
  }
}

const result = { package: 'openai', version, made_by: 'tests/npm/request-fields.mjs', requests: {} };
for (const [path, [file, name, base]] of Object.entries(requests)) {
  const root = find(name, load(file), '');
  const fields = allFields(root);
  const inner = [];
  for (const [field, { type, module, scope }] of fields) {
    visit(type, module, scope, field, (value) => ({ ...base, [field]: value }), [], inner);
  }

  const seen = new Set();
  result.requests[path] = { fields: [...fields.keys()].sort(), inner: inner.filter((row) => seen.size < seen.add(`${row[0]} ${JSON.stringify(row[2])}`).size) };
}

const lines = Object.entries(result.requests).map(([path, { fields, inner }]) =>
  `    ${JSON.stringify(path)}: {\n      "fields": ${JSON.stringify(fields)},\n      "inner": [\n${inner.map((row) => `        ${JSON.stringify(row)}`).join(',\n')}\n      ]\n    }`);
writeFileSync(join(here, 'request-fields.json'), `{\n  "package": "openai",\n  "version": ${JSON.stringify(version)},\n  "made_by": "tests/npm/request-fields.mjs",\n  "requests": {\n${lines.join(',\n')}\n  }\n}\n`);
for (const [path, { fields, inner }] of Object.entries(result.requests)) {
  console.log(`${path}: ${fields.length} fields, ${inner.length} inside them`);
}
