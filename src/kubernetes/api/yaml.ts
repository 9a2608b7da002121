/**
 * YAML as kubectl reads it: the scalars of go-yaml v2, through which all YAML of Kubernetes goes
 * (sigs.k8s.io/yaml), so that `0400`, `no` and a number of 64 bits are what they are there
 * (docs/decisions/0020-yaml-as-kubernetes-reads-it.md).
 */
import {
  defineMappingTag,
  defineScalarTag,
  loadAll,
  mergeTag,
  NOT_RESOLVED,
  Schema,
  seqTag,
  strTag,
  YAMLException,
} from 'js-yaml';

/** Brackets and indents within each other. */
const DEPTH_MAX = 100;
/** Keys that `<<` brings, in one document. */
const MERGED_KEYS_MAX = 10_000;

const TRUE = ['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'];
const FALSE = ['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'];
const NULL = ['', '~', 'null', 'Null', 'NULL'];
/** JSON has no such numbers: Kubernetes refuses them, too. */
const NO_NUMBER = /^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$/;
const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
/** Go's ParseInt with base 0: a leading zero makes it octal. */
const INTEGER = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))$/;
/** Longer ones have more than 64 bits; to count them takes time. */
const INTEGER_CHARS_MAX = 100;
const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

declare global {
  /** ECMAScript, "JSON.parse source text access": not yet in TypeScript's library. */
  interface JSON {
    rawJSON(text: string): object;
    isRawJSON(value: unknown): boolean;
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
  }
}

type Json = Record<string, unknown>;
type Unresolved = typeof NOT_RESOLVED;

/**
 * One document.
 * @returns values of JSON; a whole number that a double would round is an object of `JSON.rawJSON`
 * @throws Error that says what is wrong, and where
 */
export function parseKubernetesYaml(text: string): unknown {
  const [value = null, ...others] = readYaml(text);
  if (others.length > 0) {
    throw new Error('a document ends inside of it: divide documents by lines of "---"');
  }
  return value;
}

function readYaml(text: string): readonly unknown[] {
  try {
    return loadAll(text, {
      schema: KUBERNETES,
      json: true, // Of two equal keys the last one counts.
      maxDepth: DEPTH_MAX,
      maxTotalMergeKeys: MERGED_KEYS_MAX,
    });
  } catch (thrown) {
    if (!(thrown instanceof YAMLException)) {
      throw thrown;
    }
    // The library's own text repeats the lines, with any secret in them.
    const line = thrown.mark === undefined ? '' : `, line ${thrown.mark.line + 1}`;
    throw new Error(`${thrown.reason}${line}`);
  }
}

/** JSON, its whole numbers kept as they are written. */
export function parseLosslessJson(text: string): unknown {
  // Shorter numbers are exact as they are, and most texts have no longer ones.
  if (!/[0-9]{16}/.test(text)) {
    return JSON.parse(text);
  }
  return JSON.parse(text, (_key: string, value: unknown, context) =>
    typeof value === 'number' ? exactNumber(value, context.source ?? '') : value,
  );
}

function exactNumber(value: number, source: string): unknown {
  const isRounded = !Number.isSafeInteger(value) && /^-?[0-9]+$/.test(source);
  return isRounded ? numberOf(BigInt(source)) : value;
}

function numberOf(value: bigint): unknown {
  const double = Number(value);
  if (Number.isSafeInteger(double)) {
    return double;
  }
  // Beyond 64 bits Kubernetes itself counts in doubles.
  return value >= INT64_MIN && value <= UINT64_MAX ? JSON.rawJSON(value.toString()) : double;
}

function resolveNumber(source: string): unknown {
  if (NO_NUMBER.test(source)) {
    throw new Error(`"${source}" is no number of JSON`);
  }
  if (source.startsWith('.')) {
    return FLOAT.test(source) ? finite(source) : NOT_RESOLVED;
  }
  const plain = source.replaceAll('_', '');
  return resolveInteger(plain) ?? (FLOAT.test(plain) ? finite(plain) : NOT_RESOLVED);
}

function resolveInteger(plain: string): unknown {
  const fits = plain.length <= INTEGER_CHARS_MAX;
  const [, sign, hex, binary, octal, decimal] = (fits ? INTEGER.exec(plain) : null) ?? [];
  const digits = [
    hex === undefined ? '' : `0x${hex}`,
    binary === undefined ? '' : `0b${binary}`,
    octal === undefined ? '' : `0o${octal}`,
    decimal ?? '',
  ].join('');
  if (digits === '') {
    return undefined;
  }
  const value = BigInt(digits) * (sign === '-' ? -1n : 1n);
  const most = sign === '' ? UINT64_MAX : INT64_MIN * -1n - 1n;
  return value >= INT64_MIN && value <= most ? numberOf(value) : undefined;
}

/** A number that no double holds is text. */
function finite(source: string): number | Unresolved {
  const value = Number(source);
  return Number.isFinite(value) ? value : NOT_RESOLVED;
}

/**
 * @param firsts first characters of its plain scalars, '' for an empty one; when empty, only tagged
 *   scalars are of this type
 */
const scalar = <T>(
  name: string,
  firsts: readonly string[],
  resolve: (source: string) => T | Unresolved,
) =>
  defineScalarTag(`tag:yaml.org,2002:${name}`, {
    implicit: firsts.length > 0,
    ...(firsts.length === 0 ? {} : { implicitFirstChars: firsts }),
    resolve: (source) => resolve(source),
    identify: () => false,
  });

const oneOf =
  <T>(words: readonly string[], value: T) =>
  (source: string): T | Unresolved =>
    words.includes(source) ? value : NOT_RESOLVED;

const booleans = (source: string): boolean | Unresolved =>
  TRUE.includes(source) ? true : oneOf(FALSE, false)(source);

/** Keys are text in JSON: a value without a text cannot be a key. */
const mapping = defineMappingTag<Json>('tag:yaml.org,2002:map', {
  create: () => ({}),
  identify: () => false,
  addPair: (map, key, value) => {
    const name = keyOf(key);
    if (name === undefined) {
      return 'a key must be a text, a number or a boolean';
    }
    Object.defineProperty(map, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
    return '';
  },
  has: (map, key) => Object.hasOwn(map, keyOf(key) ?? ''),
  keys: (map) => Object.keys(map),
  get: (map, key) => map[keyOf(key) ?? ''],
});

function keyOf(key: unknown): string | undefined {
  if (JSON.isRawJSON(key)) {
    return JSON.stringify(key);
  }
  return key === null || typeof key === 'object' ? undefined : String(key);
}

const KUBERNETES = new Schema([
  strTag,
  seqTag,
  mapping,
  mergeTag,
  scalar('null', ['', '~', 'n', 'N'], oneOf(NULL, null)),
  scalar('bool', [...'yYnNtTfFoO'], booleans),
  scalar('int', [...'+-.0123456789'], resolveNumber),
  scalar('float', [], resolveNumber),
]);
