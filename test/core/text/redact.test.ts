import { describe, expect, test } from 'bun:test';
import { REDACTED, redact } from '../../../src/core/text/redact.ts';
import { SECRET_SHAPES } from '../../../src/core/text/secret-shapes.ts';
import { encodeJoinToken } from '../../../src/protocol/secrets/join-token.ts';

const K3S_TOKEN = `K10${'0123456789abcdef'.repeat(4)}::server:hunter2hunter2`;
const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLW9mLWl0';
const JOIN_TOKEN = encodeJoinToken({
  v: 1,
  servers: ['https://192.0.2.1:6443'],
  ca: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
  token: 'abcdef.0123456789abcdef',
  role: 'agent',
  expires: null,
});

describe('redact()', () => {
  test.each([
    ['a k3s token', K3S_TOKEN],
    ['a join token', JOIN_TOKEN],
    ['a JWT', JWT],
  ])('hides %s wherever it stands', (_, secret) => {
    expect(redact(`before ${secret} between "${secret}" after`)).toBe(
      `before ${REDACTED} between "${REDACTED}" after`,
    );
  });

  test('hides what follows Bearer and keeps the word', () => {
    expect(redact('Authorization: Bearer s3cr3t-t0ken-value')).toBe(
      `Authorization: Bearer ${REDACTED}`,
    );
  });

  test('hides every appearance of a secret it was told', () => {
    expect(redact('a=correct-horse b=correct-horse', ['correct-horse'])).toBe(
      `a=${REDACTED} b=${REDACTED}`,
    );
  });

  test('takes a secret literally, not as a pattern', () => {
    expect(redact('it is a.b$&c(d[e', ['a.b$&c(d[e'])).toBe(`it is ${REDACTED}`);
    expect(redact('axb$&c(d[e', ['a.b$&c(d[e'])).toBe('axb$&c(d[e');
  });

  test('does not search for a secret so short that it would hide ordinary words', () => {
    expect(redact('the port is in use', ['port', ''])).toBe('the port is in use');
  });

  test('hides the whole of a secret that holds another one', () => {
    expect(redact('x=outer-inner-secret', ['inner-secret', 'outer-inner-secret'])).not.toContain(
      'outer',
    );
  });

  test('leaves ordinary text alone', () => {
    const text = 'Pulled image registry.example/app:v1.2.3@sha256:0123456789abcdef in 3.2s';
    expect(redact(text)).toBe(text);
  });

  /** Made up, in the form of each; put together here so that no scanner of repositories trips over them. */
  const SHAPES: readonly (readonly [string, string])[] = [
    ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map(
      (begin) => ['GitHub', begin + 'aB3'.repeat(12)] as const,
    ),
    ['GitHub, fine-grained', `github_${'pat_11ABCDEFG0'}${'aB3_'.repeat(15)}`],
    ['GitLab', `glpat-${'aB3-'.repeat(5)}`],
    ['AWS', `AKIA${'IOSFODNN7EXAMPLE'}`],
    ['AWS, temporary', `ASIA${'IOSFODNN7EXAMPLE'}`],
    ['Google', `AIza${'SyA-b_1'.repeat(5)}`],
    ['Slack', `xoxb-${'123456789012-abcdefABCDEF'}`],
    ['Stripe', `sk_live_${'aB3'.repeat(8)}`],
    ['npm', `npm_${'aB3'.repeat(12)}`],
    ['PyPI', `pypi-${'AgE'}${'IcHl'.repeat(10)}`],
    ['Docker Hub', `dckr_pat_${'aB3-'.repeat(7)}`],
    ['DigitalOcean', `dop_v1_${'0af9'.repeat(16)}`],
    ['Vault', `hvs.${'CAESI'.repeat(5)}`],
    ['Anthropic', `sk-ant-${'api03-'.repeat(5)}`],
    ['SendGrid', `SG.${'a'.repeat(22)}.${'b'.repeat(43)}`],
  ];

  test.each(SHAPES)('hides a secret of %s that nobody told it', (_, secret) => {
    expect(redact(`one ${secret}, "two": "${secret}"\n`)).toBe(
      `one ${REDACTED}, "two": "${REDACTED}"\n`,
    );
    // Within a word it is something else.
    expect(redact(`x${secret}`)).toBe(`x${secret}`);
  });

  test('hides user and password of HTTP, and no ordinary word behind Basic', () => {
    const credentials = Buffer.from('admin:hunter2').toString('base64');
    expect(redact(`authorization: basic ${credentials}`)).toBe(`authorization: basic ${REDACTED}`);
    expect(redact('Basic authentication is on')).toBe('Basic authentication is on');
  });

  test('hides the password of an address, whatever the scheme', () => {
    expect(redact('postgres://app:p@ss:w0rd!@db:5432/x and amqp://:secret@mq/')).toBe(
      `postgres://app:${REDACTED}@db:5432/x and amqp://:${REDACTED}@mq/`,
    );
    const open = 'see http://web:8080/a?b=c@d and https://user@host/ and redis://cache:6379';
    expect(redact(open)).toBe(open);
  });

  test('hides a private key, one that is cut too, and no certificate', () => {
    const key = (name: string) => `-----BEGIN ${name}PRIVATE KEY-----\nMIIE\nabc\n`;
    expect(redact(`a ${key('RSA ')}-----END RSA PRIVATE KEY----- b`)).toBe(
      `a -----BEGIN RSA PRIVATE KEY-----${REDACTED}-----END RSA PRIVATE KEY----- b`,
    );
    expect(redact(key(''))).toBe(`-----BEGIN PRIVATE KEY-----${REDACTED}`);
    const certificate = '-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n';
    expect(redact(certificate)).toBe(certificate);
  });

  test('each shape says where it comes from', () => {
    expect(SECRET_SHAPES.filter(({ source }) => source.length < 10)).toEqual([]);
  });
});
