import { DEFAULT_BASE_URL } from '../../core/places.ts';
import { withoutEnd } from '../../core/text/without-end.ts';

/** Where the line puts the token on the new machine. */
const TOKEN_FILE = '/root/join-token';

export interface JoinSources {
  /** Where install.sh and the program come from; undefined: the usual place. */
  readonly baseUrl: string | undefined;
  /** Where k3s comes from; undefined: its own places. */
  readonly k3sMirror: string | undefined;
}

/**
 * The whole line for the new machine. The token goes through a builtin of the shell into a file that
 * only root reads: never into the arguments of a program, where others on the machine could see it.
 */
export function joinLine(token: string, { baseUrl, k3sMirror }: JoinSources): string {
  const base = withoutEnd(baseUrl ?? DEFAULT_BASE_URL, '/');
  const variables = [
    ...(base === DEFAULT_BASE_URL ? [] : [`PIPEOPS_BASE_URL=${quoted(base)} `]),
    ...(k3sMirror === undefined ? [] : [`PIPEOPS_K3S_MIRROR=${quoted(k3sMirror)} `]),
  ].join('');
  return (
    `${puttingToken(token)} && ` +
    `curl -fsSL ${quoted(`${base}/install.sh`)} | ` +
    `sudo ${variables}sh -s -- join --token-file ${TOKEN_FILE}`
  );
}

/**
 * The same for a machine that takes everything from a server of the cluster. Nobody vouches for that
 * server's certificate but this line: curl goes on only with the public key of this hash. A curl whose
 * library can not look at it goes on all the same (curl's tool only warns), so what came is run only
 * when it has the hash that the line has.
 * @param script what stands at the address
 */
export function offeredJoinLine(
  token: string,
  { url, pin, script }: { readonly url: string; readonly pin: string; readonly script: string },
): string {
  return (
    `${puttingToken(token)} && ` +
    `script=$(curl -fsSLk --noproxy '*' --pinnedpubkey ${quoted(pin)} ${quoted(url)}) && ` +
    `if printf '%s\\n' "$script" | sha256sum | grep -q ^${hashInShell(script)}; then ` +
    `printf '%s\\n' "$script" | sudo sh -s -- join --token-file ${TOKEN_FILE}; ` +
    `else echo 'What came is not from this server: nothing was run' >&2; false; fi`
  );
}

/** SHA-256 of a text as `$(…)` keeps it, which takes line breaks off the end, and one line break. */
function hashInShell(text: string): string {
  const kept = `${text.replace(/(?<!\n)\n+$/, '')}\n`;
  return new Bun.CryptoHasher('sha256').update(kept).digest('hex');
}

function puttingToken(token: string): string {
  return `printf '%s\\n' ${quoted(token)} | sudo sh -c 'umask 077 && cat >${TOKEN_FILE}'`;
}

/** As one word of a POSIX shell. */
function quoted(text: string): string {
  return /^[\w.,:/@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
