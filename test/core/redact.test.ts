import { describe, expect, test } from 'bun:test';
import { REDACTED, redact } from '../../src/core/redact.ts';
import { encodeJoinToken } from '../../src/protocol/join-token.ts';

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
});
