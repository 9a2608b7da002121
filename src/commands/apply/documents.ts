/** A manifest as text, taken apart into its documents. */
import { messageOf } from '../../core/errors.ts';
import { parseKubernetesYaml, parseLosslessJson } from '../../kubernetes/api/yaml.ts';
import { MANIFEST_LIMIT_BYTES } from '../../protocol/commands/apply.ts';

/** Documents of one manifest, at most; documents with only comments count. */
export const MANIFEST_DOCUMENTS_MAX = 5_000;
/** Values of one manifest, at most; a value that YAML's references repeat counts each time. */
const MANIFEST_VALUES_MAX = 1_000_000;
/** Characters of its keys and texts, at most, counted in the same way: twice what may come. */
const MANIFEST_TEXT_MAX = 2 * MANIFEST_LIMIT_BYTES;
const MANIFEST_DEPTH_MAX = 100;
/**
 * A document ends at a line of three dashes and perhaps a comment, as for kubectl. Lines end with
 * LF only: with the flag `m`, CR and U+2028 would end a line in the middle of a text.
 */
const DOCUMENT_END = /(?<![^\n])---[^\S\n]*(?:#[^\n]*)?(?![^\n])/;
const BAD_DOCUMENT_END = /(?<![^\n])---[^\n]*/;

/** How much more a manifest may hold. */
interface Room {
  values: number;
  text: number;
}

/**
 * The documents of a manifest, as kubectl reads them: the values of each, or what is wrong with it.
 */
export function* readDocuments(text: string): Generator<readonly unknown[] | string> {
  const documents = text.split(DOCUMENT_END);
  if (documents.length > MANIFEST_DOCUMENTS_MAX) {
    yield `manifest: has ${documents.length} documents, at most ${MANIFEST_DOCUMENTS_MAX} fit`;
    return;
  }
  const room: Room = { values: MANIFEST_VALUES_MAX, text: MANIFEST_TEXT_MAX };
  for (const [index, document] of documents.entries()) {
    const read = readDocument(document, room);
    yield typeof read === 'string' ? `document ${index + 1}: ${read}` : read;
  }
}

/** @returns its values, or what is wrong with it */
function readDocument(document: string, room: Room): readonly unknown[] | string {
  try {
    const parsed = parseDocument(document);
    if (!isWithin(parsed, room, -1)) {
      const values = `too many values (${MANIFEST_VALUES_MAX} in all)`;
      return `has ${values}, too much text (${MANIFEST_TEXT_MAX} characters in all), or is nested too deep`;
    }
    return isUnicode(parsed) ? parsed : 'has half a surrogate pair, which is no Unicode';
  } catch (thrown) {
    return messageOf(thrown);
  }
}

/**
 * The objects of a document: in JSON several may follow each other. A document of comments only has
 * none.
 */
function parseDocument(document: string): readonly unknown[] {
  if (/^\s*\{/.test(document)) {
    const objects = readJson([document]) ?? readJson(jsonTexts(document));
    if (objects !== undefined) {
      return objects;
    }
    // YAML may begin with a brace, too.
  }
  const [end] = BAD_DOCUMENT_END.exec(document) ?? [];
  if (end !== undefined) {
    throw new Error(`"${end.slice(0, 40)}" ends no document: only a comment may follow the dashes`);
  }
  const value = parseKubernetesYaml(document);
  return value === null ? [] : [value];
}

/** @returns undefined when one of them is not JSON */
function readJson(texts: readonly string[]): readonly unknown[] | undefined {
  try {
    return texts.map(parseLosslessJson);
  } catch {
    return undefined;
  }
}

/** Divides objects that follow one another; reads the text once. */
function jsonTexts(text: string): readonly string[] {
  const texts: string[] = [];
  let depth = 0;
  let begun = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (inString) {
      at += character === '\\' ? 1 : 0;
      inString = character !== '"';
    } else if (character === '"') {
      inString = true;
    } else if (character === '{') {
      depth += 1;
    } else if (character === '}') {
      depth -= 1;
      if (depth === 0) {
        texts.push(text.slice(begun, at + 1));
        begun = at + 1;
      }
    }
  }
  const rest = text.slice(begun);
  return rest.trim() === '' ? texts : [...texts, rest];
}

function isWithin(value: unknown, room: Room, depth: number): boolean {
  room.values -= 1;
  room.text -= typeof value === 'string' ? value.length : 0;
  if (room.values < 0 || room.text < 0 || depth > MANIFEST_DEPTH_MAX) {
    return false;
  }
  if (typeof value !== 'object' || value === null) {
    return true;
  }
  return Object.entries(value).every(([key, each]) => {
    room.text -= Array.isArray(value) ? 0 : key.length;
    return isWithin(each, room, depth + 1);
  });
}

/** JSON can name half a surrogate pair, UTF-8 cannot: Kubernetes would get another character. */
function isUnicode(value: unknown): boolean {
  if (typeof value === 'string') {
    return value.isWellFormed();
  }
  return typeof value !== 'object' || value === null
    ? true
    : Object.entries(value).every(([key, each]) => key.isWellFormed() && isUnicode(each));
}
