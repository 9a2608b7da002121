/** A manifest as text, taken apart into its documents. */
import { messageOf } from '../../core/errors.ts';
import { loopBudget } from '../../core/loop-budget.ts';
import type { Clock } from '../../core/ports.ts';
import { parseKubernetesYaml, parseLosslessJson } from '../../kubernetes/api/yaml.ts';

/** Documents of one manifest, at most; those of comments count. */
export const MANIFEST_DOCUMENTS_MAX = 5_000;
/**
 * Characters of one document in YAML: it is parsed in one go, at up to 40 ms for each MiB, and
 * etcd takes objects of 1.5 MiB. JSON is parsed so fast that the limit of the manifest is enough.
 */
export const YAML_DOCUMENT_CHARS_MAX = 1024 * 1024;
/** Values of one manifest, at most; what YAML's references name counts each time. */
const MANIFEST_VALUES_MAX = 500_000;
const MANIFEST_DEPTH_MAX = 100;
/**
 * A document ends at a line of three dashes and perhaps a comment, as for kubectl. Lines end with LF
 * only: of the flag `m`, CR and U+2028 would end one in the middle of a text.
 */
const DOCUMENT_END = /(?<![^\n])---[^\S\n]*(?:#[^\n]*)?(?![^\n])/;
const BAD_DOCUMENT_END = /(?<![^\n])---[^\n]*/;

/** The documents of a manifest, as kubectl reads them. Lets others run between two of them. */
export async function readDocuments(
  deps: { readonly clock: Clock },
  text: string,
): Promise<{ readonly values: unknown[]; readonly problems: string[] }> {
  const documents = text.split(DOCUMENT_END);
  if (documents.length > MANIFEST_DOCUMENTS_MAX) {
    const problem = `has ${documents.length} documents, at most ${MANIFEST_DOCUMENTS_MAX} fit`;
    return { values: [], problems: [`manifest: ${problem}`] };
  }
  const problems: string[] = [];
  const values: unknown[] = [];
  const room = { left: MANIFEST_VALUES_MAX };
  const budget = loopBudget(deps);
  for (const [index, document] of documents.entries()) {
    try {
      const parsed = parseDocument(document);
      if (!isWithin(parsed, room, -1)) {
        problems.push(
          `document ${index + 1}: has too many values (${MANIFEST_VALUES_MAX} in all), or is nested too deep`,
        );
      } else if (!isUnicode(parsed)) {
        problems.push(`document ${index + 1}: has half a surrogate pair, which is no Unicode`);
      } else {
        values.push(...parsed);
      }
    } catch (thrown) {
      problems.push(`document ${index + 1}: ${messageOf(thrown)}`);
    }
    if (budget.spent()) {
      await budget.rest();
    }
  }
  return { values, problems };
}

/** Its objects: JSON may have one behind the other. None of comments only. */
function parseDocument(document: string): readonly unknown[] {
  if (/^\s*\{/.test(document)) {
    const objects = readJson([document]) ?? readJson(jsonTexts(document));
    if (objects !== undefined) {
      return objects;
    }
    // YAML may begin like this, too.
  }
  if (document.length > YAML_DOCUMENT_CHARS_MAX) {
    const limitMib = YAML_DOCUMENT_CHARS_MAX / 1024 / 1024;
    throw new Error(
      `has ${document.length} characters of YAML, at most ${limitMib} MiB fit; divide it by "---"`,
    );
  }
  const [end] = BAD_DOCUMENT_END.exec(document) ?? [];
  if (end !== undefined) {
    throw new Error(`"${end.slice(0, 40)}" ends no document: only a comment may follow the dashes`);
  }
  const value = parseKubernetesYaml(document);
  return value === null ? [] : [value];
}

/** @returns undefined when one of them is no JSON */
function readJson(texts: readonly string[]): readonly unknown[] | undefined {
  try {
    return texts.map(parseLosslessJson);
  } catch {
    return undefined;
  }
}

/** Divides objects that stand one behind the other; reads the text once. */
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

function isWithin(value: unknown, budget: { left: number }, depth: number): boolean {
  budget.left -= 1;
  if (budget.left < 0 || depth > MANIFEST_DEPTH_MAX) {
    return false;
  }
  return typeof value !== 'object' || value === null
    ? true
    : Object.values(value).every((each) => isWithin(each, budget, depth + 1));
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
