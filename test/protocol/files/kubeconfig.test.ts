import { describe, expect, test } from 'bun:test';
import {
  parseKubeconfig,
  renderKubeconfig,
  tokenTimes,
} from '../../../src/protocol/files/kubeconfig.ts';

const CONTENT = {
  server: 'https://127.0.0.1:6443',
  ca: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
  token: 'token-of-the-agent',
};

/** An unsigned token with these claims: its times are read without looking at the signature. */
function jwt(claims: unknown): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part(claims)}.signature`;
}

describe('renderKubeconfig()', () => {
  test('writes the whole document that kubectl expects, as JSON', () => {
    expect(JSON.parse(renderKubeconfig('pipeops-agent', CONTENT))).toEqual({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'pipeops-agent',
          cluster: {
            server: 'https://127.0.0.1:6443',
            'certificate-authority-data': Buffer.from(CONTENT.ca).toString('base64'),
          },
        },
      ],
      users: [{ name: 'pipeops-agent', user: { token: 'token-of-the-agent' } }],
      contexts: [
        {
          name: 'pipeops-agent',
          context: { cluster: 'pipeops-agent', user: 'pipeops-agent' },
        },
      ],
      'current-context': 'pipeops-agent',
    });
  });
});

describe('parseKubeconfig()', () => {
  test('reads what renderKubeconfig() wrote', () => {
    expect(parseKubeconfig(renderKubeconfig('any', CONTENT))).toEqual(CONTENT);
  });

  test('reads the same as YAML with fields that it does not know', () => {
    const yaml = `
apiVersion: v1
clusters:
- cluster:
    server: https://127.0.0.1:6443
    certificate-authority-data: ${Buffer.from(CONTENT.ca).toString('base64')}
    tls-server-name: kubernetes
  name: default
users:
- name: default
  user: {token: token-of-the-agent}
preferences: {}
`;
    expect(parseKubeconfig(yaml)).toEqual(CONTENT);
  });

  test.each([
    ['empty text', ''],
    ['text that is not YAML', '{"clusters": ['],
    ['a list', '- a'],
    ['no cluster', '{"clusters": [], "users": [{"name": "a", "user": {"token": "t"}}]}'],
    ['no user', renderKubeconfig('a', CONTENT).replace('"users"', '"people"')],
    ['an empty token', renderKubeconfig('a', { ...CONTENT, token: '' })],
    ['a server without TLS', renderKubeconfig('a', { ...CONTENT, server: 'http://127.0.0.1' })],
  ])('gives undefined for %s', (_, text) => {
    expect(parseKubeconfig(text)).toBeUndefined();
  });
});

describe('tokenTimes()', () => {
  test('reads when a ServiceAccount token begins and ends', () => {
    const token = jwt({ iss: 'kubernetes', iat: 1_767_225_600, exp: 1_767_229_200 });
    expect(tokenTimes(token)).toEqual({ issuedAt: 1_767_225_600, expiresAt: 1_767_229_200 });
  });

  test.each([
    ['empty text', ''],
    ['one word', 'token'],
    ['a body that is not JSON', 'a.b.c'],
    ['a token without an end', jwt({ iat: 1 })],
    ['times that are text', jwt({ iat: '1', exp: '2' })],
    ['claims that are null', jwt(null)],
  ])('gives undefined for %s', (_, token) => {
    expect(tokenTimes(token)).toBeUndefined();
  });
});
