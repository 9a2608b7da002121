import { expect, test } from 'bun:test';
import type { AgentError, ErrorCode } from '../../../src/core/errors.ts';
import type { FileStat, Files } from '../../../src/core/ports.ts';
import { readCollectorHeaders } from '../../../src/telemetry/traces/collector-headers.ts';
import { failureOf } from '../../support/failure-of.ts';

const PATH = '/etc/pipeops-agent/collector-headers';
const ENDPOINT = 'https://collector.example/v1/traces';
const SECRET = 's3cret';

function read(
  text: string | undefined,
  endpoint = ENDPOINT,
  { mode = 0o640, kind = 'file' }: Partial<Pick<FileStat, 'mode' | 'kind'>> = {},
) {
  const stat = { kind, mode, uid: 0, gid: 0, size: 0, inode: 1 } as const;
  const files: Pick<Files, 'readText' | 'stat'> = {
    readText: async (path) => (path === PATH ? text : undefined),
    stat: async () => (text === undefined ? undefined : stat),
  };
  return readCollectorHeaders(files, PATH, endpoint);
}

test('a line is a header; empty lines and remarks are none', async () => {
  const text = `# of the collector\n\nAuthorization: Bearer ${SECRET}\r\n x-scope-orgid:one two \nX-Scope-OrgID: last`;
  expect(await read(text)).toEqual({
    authorization: `Bearer ${SECRET}`,
    'x-scope-orgid': 'last',
  });
});

test.each(['https://[::1]:4318/v1/traces', 'http://127.0.0.1:4318/v1/traces'])(
  'they go to %s',
  async (endpoint) => {
    expect(await read('a: b', endpoint)).toEqual({ a: 'b' });
  },
);

const failed = async (...given: Parameters<typeof read>) =>
  (await failureOf(() => read(...given))) as AgentError;

test.each([
  ['without a name', `: ${SECRET}`],
  ['without a colon', SECRET],
  ['with a blank in its name', `a b: ${SECRET}`],
  ['without a value', 'authorization:'],
  ['with a control character', `a: ${SECRET}\u0001x`],
  ['that is not ASCII', `a: ${SECRET}é`],
  ['that frames the request', `Content-Length: ${SECRET}`],
  ['for a proxy', `Proxy-Authorization: ${SECRET}`],
  ['of another host', `HOST: ${SECRET}`],
])('a line %s is told by its number, and its value by nothing', async (_, line) => {
  const { code, message, hint } = await failed(`ok: 1\n${line}\n`);
  expect([code, message.includes('line 2 of')]).toEqual(['CONFIG_INVALID', true]);
  expect(`${message} ${hint}`).not.toContain(SECRET);
});

test('more headers than a collector can want are refused', async () => {
  const text = Array.from({ length: 33 }, (_, index) => `h${index}: 1`).join('\n');
  expect((await failed(text)).message).toContain('line 33 of');
});

test.each<[string, Parameters<typeof read>, ErrorCode]>([
  ['a file that everybody can read', [`a: ${SECRET}`, ENDPOINT, { mode: 0o644 }], 'CONFIG_INVALID'],
  [
    'a link, behind which everybody can read',
    ['a: b', ENDPOINT, { kind: 'link' }],
    'CONFIG_INVALID',
  ],
  ['a pipe, which may never end', ['a: b', ENDPOINT, { kind: 'other' }], 'CONFIG_INVALID'],
  ['an endpoint where others can read them', ['a: b', 'http://c.example/'], 'CONFIG_INVALID'],
  ['a file that is not there', [undefined], 'FILE_ACCESS'],
])('%s is refused', async (_, given, code) => {
  expect((await failed(...given)).code).toBe(code);
});
