/** Takes secrets out of texts that leave the machine by the hands of a person. */
import {
  K3S_NODE_TOKEN_FILE,
  K3S_SERVER_TOKEN_FILE,
  NODE_PASSWORD_FILE,
} from '../../core/k3s-places.ts';
import { AGENT_USER } from '../../core/places.ts';
import { REDACTED, redact } from '../../core/text/redact.ts';
import type { MachineContext } from '../context.ts';

const READ_TIMEOUT_MS = 10_000;
/** What a secret of this machine has at most; a longer text is no secret of ours. */
const SECRET_BYTES_MAX = 8 * 1024;

/**
 * A name of a secret, alone or as the end of a longer one (`etcd-s3-secret-key` of docs.k3s.io, "k3s server";
 * `joinKey`), and the value behind it, in YAML, JSON (also within JSON), a log, or as a flag with a blank between. A
 * value is in quotes, or goes up to what ends it; the scheme of an HTTP header is not all of it. A path, a number
 * and what is empty stay: they are no secrets.
 */
const NAMED =
  /((?:token|passwords?|passwd|secrets?|credentials?|(?:api|access|private|secret|join)[-_]?key|key-data|auth|authorization|endpoint)\\{0,8}["']?\s{0,8}[:=]\s{0,8}|--[\w-]{0,40}?(?:token|password|secret|key) {1,8})(?!\[redacted\])("(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?|\\{1,8}"[^"\\\n]*|(?:(?:basic|bearer|digest|token) {1,8})?[^\s,"'}\]\\]+)/gi;
/** The same names. In YAML a value without quotes has all of its line, and the lines below that stand further in. */
const YAML_VALUE =
  /^([ \t]{0,40})((?:- )?[\w.-]{0,80}?(?:token|passwords?|passwd|secrets?|credentials?|(?:api|access|private|secret|join)[-_]?key|key-data|auth|authorization|endpoint): {1,8})(?![ "'[{])([^\n]+(?:\n\1[ \t]+[^\n]+)*)/gim;
const NO_SECRET = /^["']?(?:\/.*|[\d.]*|true|false|null|none|\[redacted\])["']?$/i;

/** The secrets that this machine keeps in files, of which any may stand in some text as it is. */
export async function secretsHere(context: MachineContext): Promise<readonly string[]> {
  const { files, exec, places } = context;
  const ofRoot = [
    ...[K3S_SERVER_TOKEN_FILE, K3S_NODE_TOKEN_FILE, NODE_PASSWORD_FILE],
    ...[places.localTokenFile, places.k3sTokenFile],
  ];
  const texts = await Promise.all(ofRoot.map((path) => files.readStart(path, SECRET_BYTES_MAX)));
  // Root follows no path in the daemon's directory.
  const ofDaemon = [places.controlPlaneTokenFile, places.proxyCredentialsFile].map(async (path) => {
    const argv = [
      'runuser',
      '-u',
      AGENT_USER,
      '--',
      'head',
      '-c',
      `${SECRET_BYTES_MAX}`,
      path,
    ] as const;
    const { exitCode, stdout } = await exec.run(argv, { timeoutMs: READ_TIMEOUT_MS });
    return exitCode === 0 ? stdout : '';
  });
  return [...texts, ...(await Promise.all(ofDaemon))].flatMap((text) => formsOf(text ?? ''));
}

/** A token of k3s, or `user:password`, holds its password behind the last colon. */
function formsOf(text: string): readonly string[] {
  const whole = text.trim();
  const afterColon = whole.slice(whole.lastIndexOf(':') + 1);
  return whole === '' ? [] : [whole, afterColon];
}

/** The text without what is known to be a secret, looks like one, or stands behind the name of one. */
export function withoutSecrets(text: string, known: readonly string[]): string {
  return redact(text, known)
    .replaceAll(YAML_VALUE, (all, indent: string, name: string, value: string) =>
      NO_SECRET.test(value) ? all : `${indent}${name}${REDACTED}`,
    )
    .replaceAll(NAMED, (all, name: string, value: string) =>
      NO_SECRET.test(value) ? all : `${name}${REDACTED}`,
    );
}
