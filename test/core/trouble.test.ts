/** What the system, the network and the runtime really throw here, and what a person reads of it. */
import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { chmod, mkdir, open, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { AgentError, toAgentError } from '../../src/core/errors.ts';
import { systemWords } from '../../src/core/text/system-words.ts';
import { troubleOf } from '../../src/core/trouble.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { makeCertificates } from '../support/tls.ts';

/** Texts of Bun, Node, OpenSSL and the C library: none of them is for a person. */
const FOREIGN =
  /typo in the url|able to access|verbose|fetch|getaddrinfo|socket hang up|E[A-Z]{4,}|errno|SSL routines|Unexpected|The operation|altnames|Failed to|nable to/;

async function thrownBy(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (thrown) {
    return thrown;
  }
  throw new Error('nothing was thrown');
}

const failing = (emitter: { once(event: 'error', listener: (error: Error) => void): unknown }) =>
  new Promise((_, reject) => emitter.once('error', reject));

const tcp = (answer: string | undefined) =>
  Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: (socket) => {
        if (answer !== undefined) {
          socket.end(answer);
        }
      },
    },
  });

describe('troubleOf()', () => {
  test('names in our words what stands in the way of a connection', async () => {
    using closing = tcp('');
    using garbling = tcp('garbage\r\n\r\n');
    using silent = tcp(undefined);
    await using plain = Bun.serve({ port: 0, fetch: () => Response.redirect('http://x/') });
    const { cert, key } = await makeCertificates(['127.0.0.1']);
    const other = await makeCertificates(['example.org']);
    await using secure = Bun.serve({ port: 0, tls: { cert, key }, fetch: () => new Response('') });
    await using misnamed = Bun.serve({
      port: 0,
      tls: { cert: other.cert, key: other.key },
      fetch: () => new Response(''),
    });
    const at = (port: number | undefined, scheme = 'http') => `${scheme}://127.0.0.1:${port}/`;
    const untrusted = 'its certificate is of an authority that is not trusted here';
    const cases: readonly (readonly [() => unknown, string])[] = [
      [() => fetch('http://127.0.0.1:1/'), 'it refuses connections'],
      [() => failing(connect(1, '127.0.0.1')), 'it refuses connections'],
      [
        () => Bun.connect({ hostname: '127.0.0.1', port: 1, socket: { data: () => undefined } }),
        'it refuses connections',
      ],
      [() => fetch('http://a/', { unix: '/nonexistent/socket' }), 'it does not exist'],
      [() => fetch('http://no-such-host.invalid/'), 'its name cannot be resolved'],
      [() => failing(connect(1, 'no-such-host.invalid')), 'its name cannot be resolved'],
      [
        () => Bun.dns.lookup('no-such-host.invalid', { backend: 'libc' }),
        'its name cannot be resolved',
      ],
      [() => fetch(at(closing.port)), 'it closed the connection'],
      [() => failing(get(at(closing.port))), 'it closed the connection'],
      [() => failing(get(at(garbling.port))), 'its answer is not HTTP'],
      [
        () => fetch(at(silent.port), { signal: AbortSignal.timeout(50) }),
        'it did not answer in time',
      ],
      [() => fetch(at(silent.port), { signal: AbortSignal.abort() }), 'it was interrupted'],
      [() => fetch(at(plain.port), { redirect: 'error' }), 'it sends on to another address'],
      [
        () => fetch(at(plain.port, 'https')),
        'TLS cannot be agreed on with it; it may not speak TLS there',
      ],
      [
        () => failing(tlsConnect({ host: '127.0.0.1', port: plain.port as number })),
        'it does not speak TLS there',
      ],
      [() => fetch(at(secure.port, 'https')), untrusted],
      [() => failing(tlsConnect({ host: '127.0.0.1', port: secure.port as number })), untrusted],
      [
        () => fetch(at(misnamed.port, 'https'), { tls: { ca: other.ca } }),
        'its certificate is for another name',
      ],
      [
        () => Bun.serve({ port: plain.port as number, fetch: () => new Response('') }),
        'another program holds the port',
      ],
      [() => new Response('<html>').json(), 'its answer cannot be read'],
    ];
    const told = await Promise.all(cases.map(async ([work]) => troubleOf(await thrownBy(work))));
    expect(told.filter((words) => FOREIGN.test(words))).toEqual([]);
    expect(told).toEqual(cases.map(([, words]) => words));
  });

  test('names in our words what a file does', async () => {
    await using directory = await tempDirectory();
    const at = (name: string) => join(directory.path, name);
    await mkdir(at('full/inner'), { recursive: true });
    await writeFile(at('file'), '');
    const loop = ['sh', '-c', 'ln -s loop "$0"', at('loop')];
    expect(Bun.spawnSync(loop).exitCode).toBe(0);
    const cases: readonly (readonly [() => unknown, string])[] = [
      [() => readFile(at('absent')), 'it does not exist'],
      [() => readFile(at('full')), 'it is a directory'],
      [() => readdir(at('file')), 'a part of its path is no directory'],
      [() => open(at('file'), 'wx'), 'something is there already'],
      [() => rmdir(at('full')), 'the directory is not empty'],
      [() => readFile(at('loop')), 'too many links lead to it'],
      [() => chmod(at('x'.repeat(300)), 0o600), 'its name is too long'],
      [() => new Database('/nonexistent/agent.db'), 'it cannot be opened'],
    ];
    const told = await Promise.all(cases.map(async ([work]) => troubleOf(await thrownBy(work))));
    expect(told.filter((words) => FOREIGN.test(words))).toEqual([]);
    expect(told).toEqual(cases.map(([, words]) => words));
  });

  test('has words for every code that is known, and says a code that is not', () => {
    for (const code of ['EAI_AGAIN', 'ERR_SSL_WHATEVER', 'CERT_SIGNATURE_FAILURE', 'SQLITE_FULL']) {
      expect(systemWords(code)).not.toMatch(FOREIGN);
    }
    const strange = Object.assign(new Error('foreign words'), { code: 'EWHATEVER' });
    expect(troubleOf(strange)).toBe('the system says EWHATEVER');
    expect(systemWords('toString')).toBe('the system says toString');
  });

  test('leaves our own words as they are, in one line of bounded length', () => {
    expect(troubleOf(new AgentError('BUSY', 'Another\n  install runs', { hint: 'Look' }))).toBe(
      'Another install runs',
    );
    expect(troubleOf(new Error('the proxy asks for credentials'))).toBe(
      'the proxy asks for credentials',
    );
    expect(troubleOf(new Error('x'.repeat(1_000)))).toHaveLength(301);
  });

  test('repeats nothing of an error that nobody of ours has thrown', () => {
    expect(troubleOf(new TypeError("Header 'a' has invalid value"))).toBe(
      'an unexpected TypeError',
    );
    expect(troubleOf('a text')).toBe('it failed without a reason');
  });
});

test('an error of the system that nobody expected keeps its code, not its words', async () => {
  const error = toAgentError(await thrownBy(() => fetch('http://127.0.0.1:1/')));
  expect({ code: error.code, message: error.message }).toEqual({
    code: 'INTERNAL',
    message: 'it refuses connections (ECONNREFUSED)',
  });
});
