import { describe, expect, test } from 'bun:test';
import { encodeJoinToken } from '../../../src/protocol/secrets/join-token.ts';
import { secretKind, withoutFolds } from '../../../src/protocol/secrets/kind.ts';

const CA =
  '-----BEGIN CERTIFICATE-----\nMIIBdzCCAR2gAwIBAgIBADAKBggqhkjO\n-----END CERTIFICATE-----\n';
const KEY = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\n-----END EC PRIVATE KEY-----\n';
const JOIN_TOKEN = encodeJoinToken({
  v: 1,
  servers: ['https://192.0.2.10:6443'],
  ca: CA,
  token: `K10${'0'.repeat(64)}::abcdef.0123456789abcdef`,
  role: 'agent',
  expires: '2099-01-01T00:00:00.000Z',
});
const base64 = (text: string) => Buffer.from(text).toString('base64');
const jwt = (claims: object) =>
  `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2lnbmF0dXJl`;
const KUBECONFIG = `apiVersion: v1
kind: Config
clusters:
- name: default
  cluster: { server: https://127.0.0.1:6443 }
users:
- name: default
  user: { token: abc }
`;

describe('secretKind()', () => {
  test.each([
    ['a join token', JOIN_TOKEN, 'join-token'],
    ['a folded one', JOIN_TOKEN.replace(/(.{60})/g, '$1\r\n  '), 'join-token'],
    ['one that was cut', JOIN_TOKEN.slice(0, 60), 'join-token'],
    ['one without its beginning', JOIN_TOKEN.slice('pj1.'.length), 'join-token'],
    ['the middle of one', JOIN_TOKEN.slice('pj1.'.length, -12), 'join-token'],
    ['one of a later version', 'pj2.abcdef.00000000', 'join-token'],
    ['one behind the name of a variable', `PIPEOPS_TOKEN=${JOIN_TOKEN}`, 'join-token'],
    ['one in base64', base64(JOIN_TOKEN), 'join-token'],
    [
      '"token create --json"',
      JSON.stringify({ token: JOIN_TOKEN, id: 'a' }, null, 2),
      'join-token-json',
    ],
    ['the token of a k3s server', `K10${'a'.repeat(64)}::server:0123456789abcdef`, 'k3s-token'],
    ['the token of a k3s node', `K10${'a'.repeat(64)}::node:0123456789abcdef\n`, 'k3s-token'],
    ['a full bootstrap token', `K10${'a'.repeat(64)}::abcdef.0123456789abcdef`, 'k3s-token'],
    ['a short bootstrap token', 'abcdef.0123456789abcdef', 'k3s-token'],
    ['a k3s token as a variable', `K3S_TOKEN=K10${'a'.repeat(64)}::server:x`, 'k3s-token'],
    ['a token of a service account', jwt({ sub: 'system:serviceaccount:a:b' }), 'kubernetes-token'],
    ['another JWT', jwt({ sub: 'agent' }), 'jwt'],
    ['a kubeconfig', KUBECONFIG, 'kubeconfig'],
    ['a kubeconfig in JSON', JSON.stringify(Bun.YAML.parse(KUBECONFIG)), 'kubeconfig'],
    ['a kubeconfig in base64', base64(KUBECONFIG), 'kubeconfig'],
    ['a private key', KEY, 'private-key'],
    ['a private key of SSH', KEY.replaceAll('EC', 'OPENSSH'), 'private-key'],
    ['a key behind its certificate', CA + KEY, 'private-key'],
    ['a private key in base64', base64(KEY), 'private-key'],
    [
      'a key file of a cloud account',
      JSON.stringify({ type: 'service_account', private_key: KEY }),
      'private-key',
    ],
    ['a certificate', CA, 'certificate'],
    ['a public key of SSH', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here', 'certificate'],
    ['a token of GitHub', `ghp_${'a'.repeat(36)}`, 'foreign-key'],
    ['a key of AWS', 'AKIAIOSFODNN7EXAMPLE', 'foreign-key'],
    ['another document', '{"auths":{}}', 'document'],
    ['an address', 'https://api.example.com/token', 'address'],
    ['the name of a file', '/root/control-plane-token', 'path'],
    ['the name of a file on a stick', '/mnt/usb/token', 'path'],
    ['the name of a file at home', '~/token', 'path'],
    ['what may be a token of the control plane', 'pat_2f0c1d7e9b8a4c6d5e3f', undefined],
    ['a random token in base64', '/Kx0mZ8vqQ2f+3nW0aQ7Zg==', undefined],
    ['a UUID', '7f8de1a2-5a0f-4f4e-9c1b-9a3b7b5d2c10', undefined],
    ['nothing', '', undefined],
  ] as const)('tells %s', (_, text, kind) => {
    expect(secretKind(text)).toBe(kind as ReturnType<typeof secretKind>);
  });

  test('takes no longer for texts that were made to be slow', () => {
    for (const part of ['K10', '::', 'pj1.', 'eyJ.', 'clusters:\n', '\n\n', ' \u200b', 'a.a']) {
      const began = performance.now();
      secretKind(part.repeat(Math.floor((256 * 1024) / part.length)));
      expect(performance.now() - began).toBeLessThan(200);
    }
  });
});

test('withoutFolds() drops what stands between the letters of a word, and nothing of it', () => {
  expect(withoutFolds('\ufeff ab\u00adc\r\n\td\u200be ')).toBe('abcde');
});
