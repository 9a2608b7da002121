import { describe, expect, test } from 'bun:test';
import { failed } from '../../../src/commands/apply/object.ts';
import { secretsOf, secretsOfObject } from '../../../src/commands/engine/secrets.ts';
import { AgentError } from '../../../src/core/errors.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('secretsOf()', () => {
  test('finds values by the names of fields and of environment variables', () => {
    const payload = {
      name: 'web',
      environment: { DB_PASSWORD: 'one', API_KEY: 'two', LANG: 'C' },
      spec: {
        env: [
          { name: 'DATABASE_URL', value: 'three' },
          { name: 'LANG', value: 'C' },
        ],
      },
    };
    expect(secretsOf(payload)).toEqual(['one', 'two', 'three']);
  });

  test('does not follow a payload that is nested without end', () => {
    let payload: object = { password: 'deep' };
    for (let depth = 0; depth < 10_000; depth += 1) {
      payload = { a: payload };
    }
    expect(secretsOf(payload)).toEqual([]);
  });
});

describe('secretsOfObject()', () => {
  test('takes every value of a Secret, as it is and decoded, and none of a ConfigMap', () => {
    const data = { plain: base64('hunter22') };
    const stringData = { other: 'hunter33' };
    const secret = { apiVersion: 'v1', kind: 'Secret', data, stringData };
    expect(secretsOfObject(secret)).toEqual(['hunter33', base64('hunter22'), 'hunter22']);
    expect(secretsOfObject({ ...secret, kind: 'ConfigMap' })).toEqual([]);
  });
});

describe('failed()', () => {
  test('tells of a refusal without the values that it quotes, also where it is cut', () => {
    const secret = `with "quotes" ${'x'.repeat(100)}`;
    const refusal = `Invalid value: ${JSON.stringify(secret)}: ${'-'.repeat(890)} ${secret}`;
    const { message } = failed(new AgentError('KUBERNETES_API', refusal, { hint: 'Look' }), [
      secret,
    ]);
    expect(message).toStartWith('Invalid value: "[redacted]": ');
    expect(message).not.toContain('quotes');
  });
});

test.each([
  ...['MONGODB_URI', 'MONGO_URL', 'DATABASE_URL', 'REDIS_URL', 'AMQP_URL', 'CELERY_BROKER_URL'],
  ...['JWT_SIGNING_KEY', 'APP_KEY', 'ENCRYPTION_KEY', 'SECRET_KEY_BASE', 'API_KEY', 'X-Api-Key'],
  ...['COOKIE', 'SESSION_COOKIE', 'RABBITMQ_ERLANG_COOKIE', 'MYSQL_PWD', 'PGPASSWORD', 'DB_PASS'],
  ...[
    'SENTRY_DSN',
    'SLACK_WEBHOOK_URL',
    'AUTHORIZATION',
    'PASSWORD_SALT',
    'dbPassword',
    'authToken',
  ],
  ...['AWS_SECRET_ACCESS_KEY', 'GITHUB_TOKEN', 'GOOGLE_CREDENTIALS_JSON', 'connectionString'],
])('what is called %s is a secret', (name) => {
  const value = 'the value of it';
  expect([
    secretsOf({ environment: { [name]: value } }),
    secretsOf({ env: [{ name, value }] }),
  ]).toEqual([[value], [value]]);
});

test('an address with a password is one by its password, whatever its name', () => {
  const value = 'https://bot:p4ssw0rd-x@git.example/shop.git';
  expect(secretsOf({ environment: { UPSTREAM_URL: value } })).toEqual(['p4ssw0rd-x']);
  expect(secretsOf({ env: [{ name: 'UPSTREAM_URL', value }] })).toEqual(['p4ssw0rd-x']);
});

test('names of Kubernetes that only sound like it hold no secret', () => {
  const pod = {
    serviceAccountName: 'web',
    secretName: 'tls-of-web',
    imagePullSecret: 'registry',
    topologyKey: 'kubernetes.io/hostname',
    env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'db-secret', key: 'password-key' } } }],
    environment: { PUBLIC_URL: 'https://shop.example/', CACHE_HOST: 'cache:6379' },
  };
  expect(secretsOf(pod)).toEqual([]);
});
