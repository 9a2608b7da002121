import { describe, expect, test } from 'bun:test';
import { AgentError } from '../../../src/core/errors.ts';
import {
  decodeJoinToken,
  encodeJoinToken,
  JOIN_TOKEN_LIMIT_BYTES,
  type JoinTokenContent,
} from '../../../src/protocol/secrets/join-token.ts';
import { failureOf } from '../../support/failure-of.ts';

const SECRET = 'abcdef.0123456789abcdef';
const CONTENT: JoinTokenContent = {
  v: 1,
  servers: ['https://192.0.2.10:6443', 'https://[2001:db8::1]:6443'],
  ca: '-----BEGIN CERTIFICATE-----\nMIIBdzCCAR2gAwIBAgIBADAKBggqhkjOPQQDAjAj\n-----END CERTIFICATE-----\n',
  token: SECRET,
  role: 'agent',
  expires: '2026-01-02T00:00:00.000Z',
};
const TOKEN = encodeJoinToken(CONTENT);

/** A token with any content and a right checksum. */
function tokenOf(content: string): string {
  const body = Buffer.from(content).toString('base64url');
  const sum = new Bun.CryptoHasher('sha256').update(`pj1.${body}`).digest('hex').slice(0, 8);
  return `pj1.${body}.${sum}`;
}

/** Those of the changed tokens that are taken although they should not be. */
function taken(changed: readonly string[]): readonly string[] {
  return changed.filter((text) => {
    try {
      decodeJoinToken(text);
      return true;
    } catch (thrown) {
      return !(thrown instanceof AgentError && thrown.code === 'JOIN_TOKEN_INVALID');
    }
  });
}

describe('encodeJoinToken()', () => {
  test('gives one word that a shell takes without quotes', () => {
    expect(TOKEN).toMatch(/^pj1\.[A-Za-z0-9_-]+\.[0-9a-f]{8}$/);
  });

  test('refuses to make a token that decodeJoinToken() would not read', () => {
    const long = { ...CONTENT, ca: CONTENT.ca.repeat(60) };
    expect(() => encodeJoinToken(long)).toThrow(
      expect.objectContaining({
        code: 'HOST_UNSUPPORTED',
        message: expect.stringMatching(/would have \d+ bytes, more than the 4096/),
      }),
    );
  });
});

describe('decodeJoinToken()', () => {
  test.each([
    ['a token of a node', CONTENT],
    ['a token of a server, which has no end', { ...CONTENT, role: 'server', expires: null }],
    ['the most servers', { ...CONTENT, servers: Array(16).fill('https://192.0.2.10:6443') }],
  ] as const)('gives back what encodeJoinToken() was given: %s', (_, content) => {
    expect(decodeJoinToken(encodeJoinToken(content))).toEqual(content);
  });

  test('ignores white space around the token', () => {
    expect(decodeJoinToken(` \n${TOKEN}\r\n`)).toEqual(CONTENT);
  });

  test('takes a token that was folded on its way', () => {
    const folded = TOKEN.replace(/(.{60})/g, '$1\r\n  ');
    expect(decodeJoinToken(folded)).toEqual(CONTENT);
    expect(decodeJoinToken(`"${[...TOKEN].join('\u200b ')}"\n`)).toEqual(CONTENT);
  });

  test.each([
    [
      `K10${'a'.repeat(64)}::server:hunter2`,
      'This is a token of k3s, not a join token',
      /token create.*pipeops-agent join.*K3S_URL/,
    ],
    [
      'the-token-of-the-control-plane',
      'This is not a join token: it does not begin with "pj1."',
      /pipeops-agent install --token-file FILE/,
    ],
    [
      JSON.stringify({ token: TOKEN }),
      'This is what "token create --json" printed, not a join token',
      /"token"/,
    ],
    ['-----BEGIN RSA PRIVATE KEY-----', 'This is a private key, not a join token', /keep it/],
  ])('tells another secret by its shape: %j', async (text, message, hint) => {
    const failure = await failureOf(() => decodeJoinToken(text));
    expect(failure).toMatchObject({ code: 'JOIN_TOKEN_INVALID', message });
    expect(failure.hint).toMatch(hint);
    expect(Bun.inspect(failure)).not.toContain('hunter2');
  });

  test('finds any single changed character', () => {
    const changed = [...TOKEN].flatMap((was, index) =>
      ['A', 'a', 'b', '0', '9', '.', '_', '-', ' ', '\n', '=', '+', 'é']
        .filter((character) => character !== was)
        .map((character) => TOKEN.slice(0, index) + character + TOKEN.slice(index + 1)),
    );
    expect(changed.length).toBeGreaterThan(TOKEN.length * 11);
    expect(taken(changed)).toEqual([]);
  });

  test('finds any single lost or doubled character', () => {
    const changed = [...TOKEN].flatMap((character, index) => [
      TOKEN.slice(0, index) + TOKEN.slice(index + 1),
      TOKEN.slice(0, index) + character + TOKEN.slice(index),
    ]);
    expect(taken(changed)).toEqual([]);
  });

  test('finds any two neighbours that changed places', () => {
    const changed = [...TOKEN.slice(1)]
      .map((next, index) => TOKEN.slice(0, index) + next + TOKEN[index] + TOKEN.slice(index + 2))
      .filter((text) => text !== TOKEN);
    expect(changed.length).toBeGreaterThan(100);
    expect(taken(changed)).toEqual([]);
  });

  test('finds a token that was cut off anywhere', () => {
    expect(taken([...TOKEN].map((_, length) => TOKEN.slice(0, length)))).toEqual([]);
  });

  test.each([
    ['', 'it is empty'],
    ['  \n', 'it is empty'],
    [`${TOKEN}\n${TOKEN}`, 'there is more than one; give one'],
    ['pj1.abc', 'it does not have three parts'],
    ['pj1.abc.def.ghi', 'it does not have three parts'],
    [
      'pj1.abc.00000000',
      'its checksum does not match, so a part of it was lost or changed on the way',
    ],
    ['x'.repeat(JOIN_TOKEN_LIMIT_BYTES + 1), `it is longer than ${JOIN_TOKEN_LIMIT_BYTES} bytes`],
    [tokenOf('not JSON'), 'its content is not JSON'],
    [tokenOf('[]'), 'these fields are wrong: content'],
    [
      tokenOf('{"v":0,"servers":[],"ca":"none","token":"","role":"root","expires":"tomorrow"}'),
      'these fields are wrong: v, servers, ca, token, role, expires',
    ],
    [
      tokenOf(JSON.stringify({ ...CONTENT, servers: ['http://192.0.2.10:6443'] })),
      'these fields are wrong: servers.0',
    ],
  ])('says what is wrong with %j', async (text, why) => {
    const { code, message, hint } = await failureOf(() => decodeJoinToken(text));
    expect({ code, message, hint }).toEqual({
      code: 'JOIN_TOKEN_INVALID',
      message: `Cannot use the join token: ${why}`,
      hint: 'Copy the whole token again, or make a new one on a server: pipeops-agent token create',
    });
  });

  test('leaves out what a server of a newer version has written into it', () => {
    const newer = { ...CONTENT, made_by: '9.0.0', servers_in: { zone: ['a'] } };
    expect(decodeJoinToken(tokenOf(JSON.stringify(newer)))).toEqual(CONTENT);
  });

  test.each([
    'pj2.abc.00000000',
    tokenOf(JSON.stringify({ v: 2, url: 'https://192.0.2.10', token: SECRET })),
  ])('says of one that needs another version how to get it: %j', async (text) => {
    const error = await failureOf(() => decodeJoinToken(text));
    expect([error.code, error.message, error.hint]).toEqual([
      'JOIN_TOKEN_INVALID',
      'Cannot use the join token: it is of another version of pipeops-agent than this, 0.0.0-dev',
      'Install the version here that made it: "pipeops-agent version" on the server tells which, ' +
        'and PIPEOPS_VERSION takes it',
    ]);
    expect(Bun.inspect(error)).not.toContain(SECRET);
  });

  test('never tells the secret that a wrong token holds', async () => {
    const wrong = await failureOf(() =>
      decodeJoinToken(tokenOf(JSON.stringify({ ...CONTENT, v: 9 }))),
    );
    expect(Bun.inspect(wrong)).not.toContain(SECRET);
    const broken = await failureOf(() => decodeJoinToken(tokenOf(`${SECRET} is no JSON`)));
    expect(Bun.inspect(broken)).not.toContain(SECRET);
  });
});
