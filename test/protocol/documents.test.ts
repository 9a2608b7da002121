/** The documents of other programs and of our own sockets and files. */
import { describe, expect, test } from 'bun:test';
import { Inventory } from '../../src/protocol/files/host-state.ts';
import { BootstrapTokenSecrets, NodeList } from '../../src/protocol/kubectl.ts';
import { DetailedHealth, ReadyAnswer } from '../../src/protocol/local-api.ts';

const NOW = '2026-01-01T00:00:00.000Z';

describe('NodeList', () => {
  test('gives empty lists where a node has not reported yet and keeps the rest', () => {
    const nodeInfo = { kubeletVersion: 'v1.36.3+k3s1', architecture: 'amd64', osImage: 'Debian' };
    expect(
      NodeList.parse({
        kind: 'List',
        items: [{ metadata: { name: 'host-1' }, status: { nodeInfo } }],
      }),
    ).toEqual({
      kind: 'List',
      items: [
        {
          metadata: { name: 'host-1', labels: {}, annotations: {} },
          status: { addresses: [], conditions: [], nodeInfo },
        },
      ],
    });
  });

  test('refuses a node without its version', () => {
    const list = { items: [{ metadata: { name: 'host-1' }, status: { nodeInfo: {} } }] };
    expect(NodeList.safeParse(list).success).toBeFalse();
  });
});

describe('BootstrapTokenSecrets', () => {
  test('takes a token without end and description', () => {
    const list = { items: [{ data: { 'token-id': 'YWJjZGVm' } }] };
    expect(BootstrapTokenSecrets.parse(list)).toEqual(list);
  });

  test('refuses a Secret that is no bootstrap token', () => {
    expect(BootstrapTokenSecrets.safeParse({ items: [{ data: {} }] }).success).toBeFalse();
  });
});

describe('Inventory', () => {
  test('takes an entry of every kind, and what a newer agent has written beside', () => {
    const inventory = {
      v: 1,
      made_by: '9.0.0',
      entries: [
        ...['file', 'directory', 'link', 'unit', 'user', 'k3s'].map((kind) => ({
          kind,
          name: 'x',
        })),
        { kind: 'mount', name: '/srv', since: NOW },
      ],
    };
    expect<unknown>(Inventory.parse(inventory)).toEqual(inventory);
  });

  test.each([
    ['one that needs a newer reader', { v: 2, entries: [] }],
    ['a thing without a name', { v: 1, entries: [{ kind: 'file', name: '' }] }],
  ])('refuses %s', (_, inventory) => {
    expect(Inventory.safeParse(inventory).success).toBeFalse();
  });
});

describe('ReadyAnswer', () => {
  test('takes reasons with and without a hint', () => {
    const answer: ReadyAnswer = {
      ready: false,
      reasons: [
        { code: 'STARTING', message: 'It has just started' },
        { code: 'TOKEN_REJECTED', message: 'The token was refused', hint: 'Make a new one' },
      ],
    };
    expect(ReadyAnswer.parse(answer)).toEqual(answer);
    const [first, ...others] = answer.reasons;
    const newer = { ...answer, reasons: [{ ...first, since: NOW }, ...others], checks: [] };
    expect(ReadyAnswer.parse(newer)).toEqual(answer);
  });
});

describe('DetailedHealth', () => {
  const health: DetailedHealth = {
    agent: {
      id: 'agent-1',
      version: '0.1.0',
      role: 'server',
      cluster_name: 'prod',
      pid: 812,
      uptime_seconds: 3.5,
      memory_rss_bytes: 60_000_000,
    },
    ready: true,
    reasons: [],
    session: {
      phase: 'unreachable',
      since: NOW,
      holder: null,
      control_plane: 'https://cp.example',
      transport: null,
      transport_reason: null,
      down_since: '2026-01-01T00:00:00.000Z',
      next_try: null,
      last_contact: null,
      last_error: { code: 'CONTROL_PLANE_UNREACHABLE', message: 'Refused', hint: null },
    },
    commands: { accepted: 1, running: 1, undelivered: 2, succeeded: 3, failed: 4 },
    timestamp: NOW,
  };

  test('takes a whole one', () => {
    expect(DetailedHealth.parse(health)).toEqual(health);
  });

  test('leaves out what it does not know', () => {
    const more = { ...health, session: { ...health.session, token: 'secret' }, mood: 'good' };
    expect(DetailedHealth.parse(more)).toEqual(health);
  });

  test('takes new words as they are, and what an older daemon does not say for none', () => {
    const { transport, transport_reason, down_since, next_try, ...session } = health.session;
    expect([transport, transport_reason, next_try]).toEqual([null, null, null]);
    const older = { ...health, session: { ...session, phase: 'leaving' } };
    expect(DetailedHealth.parse(older)).toEqual({
      ...health,
      session: { ...health.session, phase: 'leaving', down_since: null },
    });
    expect(down_since).toBeString();
  });
});
