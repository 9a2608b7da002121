/** Takes secrets out of a text that a person reads or hands on: configuration, logs, outputs. */
import { REDACTED, redact } from './redact.ts';

/**
 * A name of a secret, alone or as the end of a longer one (`etcd-s3-secret-key` of docs.k3s.io, "k3s server";
 * `joinKey`), and the value behind it, in YAML, JSON (also within JSON), a log, or as a flag with a blank between. A
 * value is in quotes, or goes up to what ends it; the scheme of an HTTP header is not all of it. A path, a number
 * and what is empty stay: they are no secrets.
 */
const NAMED =
  /((?:token|passwords?|passwd|secrets?|credentials?|(?:api|access|private|secret|join)[-_]?key|key-data|auth|authorization|datastore[-_]endpoint)\\{0,8}["']?\s{0,8}[:=]\s{0,8}|--[\w-]{0,40}?(?:token|password|secret|key) {1,8})(?!\[redacted\])("(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?|\\{1,8}"[^"\\\n]*|(?:(?:basic|bearer|digest|token) {1,8})?[^\s,"'}\]\\]+)/gi;
/** The same names. In YAML a value without quotes has all of its line, and the lines below that stand further in. */
const YAML_VALUE =
  /^([ \t]{0,40})((?:- )?[\w.-]{0,80}?(?:token|passwords?|passwd|secrets?|credentials?|(?:api|access|private|secret|join)[-_]?key|key-data|auth|authorization|datastore[-_]endpoint): {1,8})(?![ "'[{])([^\n]+(?:\n\1[ \t]+[^\n]+)*)/gim;
const NO_SECRET = /^["']?(?:\/.*|[\d.]*|true|false|null|none|\[redacted\])["']?$/i;

/** The text without what is known to be a secret, looks like one, or stands behind the name of one. */
export function withoutSecrets(text: string, known: readonly string[] = []): string {
  return redact(text, known)
    .replaceAll(YAML_VALUE, (all, indent: string, name: string, value: string) =>
      NO_SECRET.test(value) ? all : `${indent}${name}${REDACTED}`,
    )
    .replaceAll(NAMED, (all, name: string, value: string) =>
      NO_SECRET.test(value) ? all : `${name}${REDACTED}`,
    );
}
