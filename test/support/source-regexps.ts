/** Finds the regular expressions of the sources, as literals and as calls of RegExp. */
import { join } from 'node:path';
import { Glob } from 'bun';

export interface SourceRegexp {
  /** `core/redact.ts:12` */
  readonly at: string;
  readonly source: string;
  readonly flags: string;
}

export interface SourceRegexps {
  readonly literals: readonly SourceRegexp[];
  /** Where `RegExp(` stands: what it makes is known at run time only. */
  readonly made: readonly string[];
}

export async function regexpsOf(directory: string): Promise<SourceRegexps> {
  const literals: SourceRegexp[] = [];
  const made: string[] = [];
  for (const name of [...new Glob('**/*.ts').scanSync(directory)].sort()) {
    const text = await Bun.file(join(directory, name)).text();
    for (const found of literalsOf(text)) {
      literals.push({ ...found, at: `${name}:${lineOf(text, found.index)}` });
    }
    for (const { index } of text.matchAll(/\bRegExp\(/g)) {
      made.push(`${name}:${lineOf(text, index)}`);
    }
  }
  return { literals, made };
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

interface Literal {
  readonly source: string;
  readonly flags: string;
  readonly index: number;
}

const QUOTES = ['"', "'", '`'];
/** Behind these, and at the beginning, a value begins: so a slash is no division. */
const BEFORE_VALUE = /(?:^|[(,=:[!&|?{};~+\-*%<>]|\b(?:return|typeof|case|in|of|await|yield))$/;

/** Reads past comments, texts and templates; what is embedded in a template is read as code. */
function literalsOf(text: string): readonly Literal[] {
  const found: Literal[] = [];
  /** Of each open template: how many braces are open within its code. */
  const templates: number[] = [];
  let before = '';
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (text.startsWith('//', at)) {
      at = endOf(text, '\n', at);
    } else if (text.startsWith('/*', at)) {
      at = endOf(text, '*/', at + 2) + 1;
    } else if (QUOTES.includes(character)) {
      at = endOfText(text, at, character, templates);
      before = character;
    } else if (character === '}' && templates.at(-1) === 0) {
      templates.pop();
      at = endOfText(text, at, '`', templates);
      before = '`';
    } else if (character === '/' && BEFORE_VALUE.test(before)) {
      const end = endOfRegexp(text, at);
      const flags = /^[a-z]*/.exec(text.slice(end + 1))?.[0] ?? '';
      found.push({ source: text.slice(at + 1, end), flags, index: at });
      at = end + flags.length;
      before = '/';
    } else if (/\S/.test(character)) {
      const open = templates.length - 1;
      templates[open] =
        (templates[open] ?? 0) + (character === '{' ? 1 : character === '}' ? -1 : 0);
      before = `${before}${character}`.slice(-10);
    } else {
      before = `${before} `.trimStart().slice(-10).trimEnd();
    }
  }
  return found;
}

function endOf(text: string, mark: string, from: number): number {
  const end = text.indexOf(mark, from);
  return end === -1 ? text.length : end;
}

/** @returns where the text ends, or where code begins in it, which is told to `templates` */
function endOfText(text: string, from: number, quote: string, templates: number[]): number {
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === '\\') {
      at += 1;
    } else if (text[at] === quote) {
      return at;
    } else if (quote === '`' && text.startsWith('${', at)) {
      templates.push(0);
      return at + 1;
    }
  }
  return text.length;
}

function endOfRegexp(text: string, from: number): number {
  let inClass = false;
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === '\\') {
      at += 1;
    } else if (text[at] === '[' || text[at] === ']') {
      inClass = text[at] === '[';
    } else if (text[at] === '/' && !inClass) {
      return at;
    }
  }
  return text.length;
}
