/** What the collector is sent beside the spans, from a file of root: it may hold a secret. */
import { AgentError } from '../../core/errors.ts';
import { isLoopback } from '../../core/loopback.ts';
import type { Files } from '../../core/ports.ts';

const FILE_LIMIT_BYTES = 16 * 1024;
const HEADERS_MAX = 32;
/** RFC 9110, sections 5.1 and 5.5: no controls, and nothing that another reader may take for another byte. */
const LINE =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)[ \t]*$/;
/** The agent writes these itself. */
const OWN = /^(?:content-|host$|connection$|transfer-|te$|trailer$|upgrade$|expect$|proxy-)/i;
const READABLE_BY_OTHERS = 0o007;

/**
 * Reads `Name: value` lines; empty ones and those that begin with `#` are left out.
 * @param endpoint where they are to go
 * @throws AgentError FILE_ACCESS, CONFIG_INVALID; no error has a value in it
 */
export async function readCollectorHeaders(
  files: Pick<Files, 'readText' | 'stat'>,
  path: string,
  endpoint: string,
): Promise<Readonly<Record<string, string>>> {
  const { protocol, hostname } = new URL(endpoint);
  if (protocol !== 'https:' && !isLoopback(hostname)) {
    throw unusable('they would go to another machine where others can read them', {
      hint: 'Write an https:// address into traces.endpoint',
    });
  }
  const stat = await files.stat(path);
  if (stat !== undefined && stat.kind !== 'file') {
    throw unusable(`${path} is no file, but a ${stat.kind}`, {
      hint: 'Name the file itself in traces.headers_file: who can read it is looked at first',
    });
  }
  if (stat !== undefined && (stat.mode & READABLE_BY_OTHERS) !== 0) {
    throw unusable(`everybody on this machine can read ${path}`, {
      hint: `Let only root and the agent read it: sudo chown root:pipeops-agent ${path} && sudo chmod 640 ${path}`,
    });
  }
  const text = await files.readText(path, FILE_LIMIT_BYTES);
  if (text === undefined) {
    throw new AgentError('FILE_ACCESS', `There is no ${path} (traces.headers_file)`, {
      hint: 'Write it, one "Name: value" a line, or take the setting out',
    });
  }
  const headers = new Map<string, string>();
  for (const [index, line] of text.split('\n').entries()) {
    const bare = line.trim();
    if (bare !== '' && !bare.startsWith('#')) {
      const [, name = '', value = ''] = LINE.exec(bare) ?? [];
      if (name === '' || OWN.test(name) || headers.size === HEADERS_MAX) {
        throw unusable(`line ${index + 1} of ${path} is no header that can be sent`, {
          hint: `Write "Name: value" in printable ASCII, at most ${HEADERS_MAX} lines, none of them Content-Type or Host`,
        });
      }
      headers.set(name.toLowerCase(), value);
    }
  }
  return Object.fromEntries(headers);
}

function unusable(why: string, { hint }: { readonly hint: string }): AgentError {
  return new AgentError('CONFIG_INVALID', `The headers for the collector cannot be used: ${why}`, {
    hint,
  });
}
