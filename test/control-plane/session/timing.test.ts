/** What waits, how long, and what is kept, in virtual time. */
import { describe, expect, test } from 'bun:test';
import { serviceTokens } from '../../../src/control-plane/credentials/service-token.ts';
import { circuitBreaker, retryPolicy } from '../../../src/control-plane/session/endpoint-policy.ts';
import { SessionError } from '../../../src/control-plane/session/failure.ts';
import {
  controllerAddress,
  gatewayAddress,
  gatewayPolicy,
} from '../../../src/control-plane/session/gateway.ts';
import { retryAfterMs, sessionPace } from '../../../src/control-plane/session/pace.ts';
import { sessionState } from '../../../src/control-plane/session/state.ts';
import { AgentError } from '../../../src/core/errors.ts';
import { limitedLog } from '../../../src/core/limited-log.ts';
import type { Random } from '../../../src/core/ports.ts';
import { failureOf } from '../../support/failure-of.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const away = new AgentError('CONTROL_PLANE_UNREACHABLE', 'nobody there', { hint: 'Look' });
/** Draws the longest of all waits. */
const longest: Random = { fraction: () => 1 - Number.EPSILON, bytes: () => new Uint8Array(32) };

describe('retryPolicy()', () => {
  test('waits up to 500 ms, then twice as long, up to 30 s', () => {
    const retry = retryPolicy({ clock: manualClock(), random: longest });
    const waits = Array.from({ length: 9 }, () => Math.ceil(retry.failed(away) / 100) * 100);
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  test('a session that worked and was cut off is an outage, however often and soon', () => {
    const retry = retryPolicy({ clock: manualClock(), random: longest });
    const cutOff = new SessionError(
      'CONTROL_PLANE_UNREACHABLE',
      'gone',
      { kind: 'cut-off' },
      { hint: 'Look' },
    );
    const waits = Array.from({ length: 6 }, () => {
      retry.succeeded();
      return Math.ceil(retry.failed(cutOff) / 100) * 100;
    });
    expect(waits).toEqual([500, 1000, 2000, 2000, 2000, 2000]);
    // One that never worked is a server that fails.
    for (let count = 0; count < 6; count += 1) {
      retry.failed(cutOff);
    }
    expect(retry.failed(cutOff)).toBeGreaterThan(20_000);
  });

  test('begins anew after a stable minute, not before', () => {
    const clock = manualClock();
    const retry = retryPolicy({ clock, random: longest });
    for (let count = 0; count < 5; count += 1) {
      retry.failed(away);
    }
    retry.succeeded();
    clock.advance(59_000);
    expect(retry.failed(away)).toBeGreaterThan(10_000);
    retry.succeeded();
    clock.advance(60_000);
    expect(retry.failed(away)).toBeLessThan(501);
  });

  test('tries that reached nobody make no wait longer than 2 s, nor the next one after a session', () => {
    const nobody = new SessionError(
      'CONTROL_PLANE_UNREACHABLE',
      'refused',
      { kind: 'nobody-there' },
      { hint: 'Look' },
    );
    const retry = retryPolicy({ clock: manualClock(), random: longest });
    const rounded = (error: AgentError) => Math.ceil(retry.failed(error) / 100) * 100;
    expect(rounded(away)).toBe(500);
    const waits = Array.from({ length: 6 }, () => rounded(nobody));
    expect(waits).toEqual([500, 1000, 2000, 2000, 2000, 2000]);
    retry.succeeded();
    expect(rounded(away)).toBe(1000);
  });

  test('waits as long as the server asks, and up to half of it longer', () => {
    const asked = new SessionError(
      'CONTROL_PLANE_ERROR',
      'busy',
      { kind: 'other', retryAfterMs: 20_000 },
      { hint: 'Look' },
    );
    const waits = Array.from({ length: 200 }, (_, seed) =>
      retryPolicy({ clock: manualClock(), random: seededRandom(seed) }).failed(asked),
    );
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(20_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(8_000);
  });

  test('asked to spread, it tries once in each period', () => {
    const clock = manualClock();
    const retry = retryPolicy({ clock, random: seededRandom(7) }, () => 60_000);
    const tries: number[] = [];
    for (let count = 0; count < 5; count += 1) {
      clock.advance(retry.failed(away));
      tries.push(Math.floor(clock.monotonic() / 60_000));
    }
    expect(tries).toEqual([0, 1, 2, 3, 4]);
  });

  test('a refused token is tried again each 30 s, a gateway is not the one to refuse it', () => {
    const retry = retryPolicy({ clock: manualClock(), random: longest });
    expect(retry.failed(new AgentError('TOKEN_REJECTED', 'no', { hint: 'Look' }))).toBe(30_000);
    const atGateway = new SessionError(
      'TOKEN_REJECTED',
      'no',
      { kind: 'answered', status: 401, atGateway: true },
      { hint: 'Look' },
    );
    expect(retry.failed(atGateway)).toBeLessThan(1_001);
  });
});

test('circuitBreaker() refuses at once when a server stays away, then lets a single call through', async () => {
  const clock = manualClock();
  const breaker = circuitBreaker({ clock, random: longest });
  let calls = 0;
  const fail = async (): Promise<never> => {
    calls += 1;
    throw away;
  };
  for (let count = 0; count < 10; count += 1) {
    await failureOf(() => breaker.run(fail));
  }
  expect(calls).toBe(4);
  clock.advance(30_000);
  const release = Promise.withResolvers<string>();
  const trial = breaker.run(() => release.promise);
  expect(await failureOf(() => breaker.run(fail))).toMatchObject({ code: away.code });
  release.resolve('answer');
  expect([await trial, await breaker.run(async () => 'next'), calls]).toEqual([
    'answer',
    'next',
    4,
  ]);
});

test('a pause that is meant counts as an advance until it ends: the watchdog stays quiet', () => {
  const clock = manualClock();
  const state = sessionState({ clock }, 'registering');
  state.failed(away, 15 * 60_000);
  expect(state.lastAdvance()).toBe(15 * 60_000);
  expect(state.snapshot()).toMatchObject({
    downSince: '2026-01-01T00:00:00.000Z',
    nextTry: '2026-01-01T00:15:00.000Z',
  });
});

test('the pace stays within its bounds, and heartbeats never come late', () => {
  const options = { heartbeatIntervalMs: 30_000, statusIntervalMs: 60_000 };
  const pace = sessionPace({ random: seededRandom(1) }, options);
  pace.obey({ heartbeat_seconds: 1e9, status_seconds: -5, reconnect_spread_seconds: Number.NaN });
  const beats = Array.from({ length: 50 }, () => pace.heartbeatMs());
  expect(Math.max(...beats)).toBeLessThanOrEqual(300_000);
  expect(Math.min(...beats)).toBeGreaterThanOrEqual(240_000);
  expect([pace.statusMs(), pace.reconnectSpreadMs()]).toEqual([5_000, 0]);
});

test.each([
  ['7', 7_000],
  ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
  ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
  ['999999999', 600_000],
  ['soon', undefined],
  [null, undefined],
])('Retry-After %p means %p ms', (header, ms) => {
  expect(retryAfterMs(manualClock('2026-01-01T00:00:00.000Z'), header)).toBe(ms);
});

test('a gateway that stays away is left alone ever longer, and is welcome when it is back', () => {
  const clock = manualClock();
  const gateway = gatewayPolicy(clock);
  const rests: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    gateway.failed(false);
    gateway.failed(false);
    expect(gateway.allowed()).toBe(true);
    gateway.failed(false);
    rests.push(gateway.restMs() / 60_000);
    clock.advance(gateway.restMs());
  }
  expect(rests).toEqual([5, 10, 20, 30]);
  gateway.succeeded();
  gateway.failed(true);
  expect(gateway.restMs() / 60_000).toBe(5);
});

const STRICT = {
  version: '1',
  apiUrl: 'https://api.example',
  allowInsecure: false,
  gatewayHosts: [] as readonly string[],
};
const LOCAL = { ...STRICT, apiUrl: 'http://127.0.0.1:8' };
const INSECURE = { ...STRICT, allowInsecure: true };
const PINNED = {
  ...STRICT,
  gatewayHosts: ['gw.example', '*.edge.Example', '203.0.113.7', '[2001:DB8:0::7]'],
};
test.each([
  [STRICT, 'https://gw.example', 'wss://gw.example/ws'],
  [STRICT, 'wss://gw.example/deep/path?a=1', 'wss://gw.example/deep/path'],
  [STRICT, 'ws://gw.example', undefined],
  [STRICT, 'ftp://gw.example', undefined],
  [STRICT, 'nonsense', undefined],
  [INSECURE, 'ws://gw.example', 'ws://gw.example/ws'],
  // This machine, in all its names, only where the control plane is here too.
  [LOCAL, 'http://127.0.0.1:9', 'ws://127.0.0.1:9/ws'],
  [LOCAL, 'ws://localhost:9/ws', 'ws://localhost:9/ws'],
  ...[
    ...['127.0.0.1', '127.1', '127.9.9.9', '2130706433', '0x7f.1', 'localhost', 'LOCALHOST.'],
    ...['a.localhost', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '0', '[::]'],
  ].flatMap((host) => [
    [STRICT, `ws://${host}:8080/ws`, undefined] as const,
    [INSECURE, `ws://${host}:8080/ws`, undefined] as const,
    [STRICT, `wss://${host}/ws`, undefined] as const,
  ]),
  [STRICT, 'wss://127.gw.example/ws', 'wss://127.gw.example/ws'],
  [PINNED, 'wss://GW.example/ws', 'wss://gw.example/ws'],
  [PINNED, 'wss://a.b.edge.example:444/ws', 'wss://a.b.edge.example:444/ws'],
  [PINNED, 'wss://203.0.113.7/ws', 'wss://203.0.113.7/ws'],
  [PINNED, 'wss://[2001:db8::7]:444/ws', 'wss://[2001:db8::7]:444/ws'],
  [PINNED, 'wss://[2001:db8::8]/ws', undefined],
  [PINNED, 'wss://edge.example/ws', undefined],
  [PINNED, 'wss://evil-edge.example/ws', undefined],
  [PINNED, 'wss://gw.example.evil.example/ws', undefined],
  [PINNED, 'wss://gw.example@evil.example/ws', undefined],
] as const)('under %p the gateway %s is dialled at %p', (rules, given, expected) => {
  expect(gatewayAddress(given, 'uuid', rules)?.split('?')[0]).toBe(expected as string);
});

test("the controller's word for a gateway counts for 12 h, and is not kept beyond that", () => {
  const clock = manualClock();
  const gateway = gatewayPolicy(clock);
  expect([gateway.known(), gateway.askInMs()]).toEqual([undefined, 0]);
  gateway.named('wss://gw.example');
  clock.advance(12 * 3_600_000 - 1);
  expect([gateway.known(), gateway.askInMs()]).toEqual(['wss://gw.example', 1]);
  clock.advance(1);
  expect([gateway.known(), gateway.askInMs()]).toEqual([undefined, 0]);
  gateway.named('wss://other.example');
  gateway.named(undefined);
  expect(gateway.known()).toBeUndefined();
});

test.each([
  ['https://api.example/base/?q=1', 'wss://api.example/x?q=1'],
  ['wss://api.example', 'wss://api.example/x'],
  ['http://127.0.0.1:8', 'ws://127.0.0.1:8/x'],
])('the controller of %s is at %s', (given, expected) => {
  expect(controllerAddress(given, '/x')).toBe(expected);
});

test('a service token is accepted from its success on, also after a restart, and no other is', () => {
  const random = seededRandom(3);
  const tokens = serviceTokens({ random }, undefined);
  const { token, hash } = tokens.mint();
  expect([tokens.accepts(token), tokens.accepts('')]).toEqual([false, false]);
  tokens.activate(hash);
  expect(tokens.accepts(token)).toBe(true);
  const restarted = serviceTokens({ random }, hash);
  expect([restarted.accepts(token), restarted.accepts(`${token}x`)]).toEqual([true, false]);
  expect(restarted.accepts('x'.repeat(1e6))).toBe(false);
});

test('limitedLog() writes once a minute and counts the rest', () => {
  const clock = manualClock();
  const lines: unknown[] = [];
  const log = limitedLog(clock, (message, fields) => void lines.push([message, fields]));
  for (let count = 0; count < 5; count += 1) {
    log('again');
  }
  clock.advance(60_000);
  log('again');
  expect(lines).toEqual([
    ['again', {}],
    ['again', { suppressed: 4 }],
  ]);
});
