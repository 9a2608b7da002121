/** What the table of health says of facts, and that its lines fit together. */
import { expect, test } from 'bun:test';
import { sessionState } from '../../src/control-plane/session/state.ts';
import { AgentError } from '../../src/core/errors.ts';
import type { HealthFacts } from '../../src/health/facts.ts';
import type { Problem } from '../../src/health/warnable.ts';
import { WARNABLES } from '../../src/health/warnables/table.ts';
import type { NodeState } from '../../src/kubernetes/nodes/states.ts';
import { CHECKS } from '../../src/machine/checks.ts';
import { parsePolicyFile } from '../../src/policy/read-file.ts';
import { failureOf } from '../support/failure-of.ts';
import { manualClock } from '../support/manual-clock.ts';
import { NOTHING_WRONG } from './nothing-wrong.ts';

/** Everything that is wrong, by warnable. */
function found(facts: Partial<HealthFacts>): Record<string, readonly Problem[]> {
  const all = WARNABLES.map(({ id, find }) => [id, find({ ...NOTHING_WRONG, ...facts })] as const);
  return Object.fromEntries(all.filter(([, problems]) => problems.length > 0));
}

const node = (name: string, more: Partial<NodeState> = {}): NodeState => ({
  ...{ name, isServer: false, addresses: [], notReady: undefined, shortOf: [] },
  ...more,
});
const STOPPED = { since: '2026-01-01T10:00:00Z', reason: 'Kubelet stopped' };

test('names are used once, and fit where they are shown', () => {
  const ids = WARNABLES.map(({ id }) => id);
  expect([...new Set(ids)]).toEqual(ids);
  expect(ids.filter((id) => !/^[a-z]+(-[a-z]+)*$/.test(id))).toEqual([]);
  expect(WARNABLES.filter(({ title }) => title.length > 26)).toEqual([]);
});

test('a cause is at least as grave as what it hides, and seen at least as soon', () => {
  for (const { id, dependsOn, severity, visibleAfterMs } of WARNABLES) {
    const causes = dependsOn.map((cause) => WARNABLES.find((each) => each.id === cause));
    for (const cause of causes) {
      const graver = severity === 'warns' || cause?.severity === 'blocks';
      const sooner = (cause?.visibleAfterMs ?? Number.POSITIVE_INFINITY) <= visibleAfterMs;
      expect({ id, cause: cause?.id, graver, sooner }).toEqual({
        ...{ id, cause: expect.any(String), graver: true, sooner: true },
      });
    }
  }
});

test('what blocks stands before what only warns', () => {
  const severities = WARNABLES.map(({ severity }) => severity);
  expect(severities).toEqual(severities.toSorted());
});

test('where nothing is wrong nothing is told', () => {
  const state = sessionState({ clock: manualClock() }, 'standalone');
  expect(found({})).toEqual({});
  expect(
    found({ session: state.snapshot(), nodes: { own: node('own'), others: [node('w')] } }),
  ).toEqual({});
});

test('a server that shares other things than the rest says what', () => {
  expect(found({ sharing: ['The policy is another one'] })).toEqual({
    sharing: [
      {
        about: 'The policy is another one',
        code: 'CHECK_FAILED',
        message: 'The policy is another one',
        hint: expect.stringContaining('docs/INSTALL.md'),
      },
    ],
  });
});

test('a policy file that cannot be used is told with its problem', async () => {
  const policyProblem = (await failureOf(async () =>
    parsePolicyFile('exce: true', '/p.yaml'),
  )) as AgentError;
  expect(found({ policyProblem })).toEqual({
    policy: [
      {
        code: 'POLICY_INVALID',
        message:
          'The policy has one problem:\n  - line 1: exce: is not a key, did you mean "exec"?',
        hint: expect.stringContaining('policy apply --file /p.yaml'),
      },
    ],
  });
});

test('a missing session is told with why, since when, and when the next try comes', () => {
  const clock = manualClock();
  const state = sessionState({ clock }, 'registering');
  const error = new AgentError('CONTROL_PLANE_UNREACHABLE', 'Cannot reach it', { hint: 'Look' });
  state.failed(error, 12_000);
  clock.advance(2_000);
  expect(found({ now: clock.now(), session: state.snapshot() })).toEqual({
    session: [
      {
        code: 'CONTROL_PLANE_UNREACHABLE',
        message: 'Cannot reach it (no session since 2026-01-01T00:00:00.000Z, next try in 10 s)',
        hint: 'Look',
      },
    ],
  });
});

test('a session that has not been tried yet is missing, too', () => {
  const state = sessionState({ clock: manualClock() }, 'registering');
  expect(found({ session: state.snapshot() })).toEqual({
    session: [
      {
        code: 'NOT_REGISTERED',
        message:
          'The control plane has not answered yet (no session since 2026-01-01T00:00:00.000Z)',
      },
    ],
  });
});

test('REST in the place of a WebSocket is told, and not where it is wanted', () => {
  const state = sessionState({ clock: manualClock() }, 'registering');
  state.succeeded();
  state.carriedBy('rest', 'a proxy cuts it');
  expect(found({ session: state.snapshot() })).toMatchObject({
    'session-transport': [
      { message: 'The session runs over REST, without proxy and tunnel: a proxy cuts it' },
    ],
  });
  state.carriedBy('rest', undefined);
  expect(found({ session: state.snapshot() })).toEqual({});
});

test.each([
  [31_000, '31 s ahead of'],
  [-45_000, '45 s behind'],
])('a clock that is %p ms off is told', (clockSkewMs, words) => {
  expect(found({ clockSkewMs })).toMatchObject({
    clock: [{ message: `The clock of this machine is ${words} that of the control plane` }],
  });
});

test('a clock is compared with what the control plane tells, and with no nonsense', () => {
  const clock = manualClock('2026-01-01T00:01:00.000Z');
  const state = sessionState({ clock }, 'registering');
  expect(state.clockSkewMs()).toBeUndefined();
  state.toldTime('2026-01-01T00:00:00.000Z');
  expect(state.clockSkewMs()).toBe(60_000);
  for (const nonsense of ['', 'soon', '0001-01-01T00:00:00Z']) {
    state.toldTime(nonsense);
  }
  expect(state.clockSkewMs()).toBe(60_000);
  state.restarted();
  expect(state.clockSkewMs()).toBeUndefined();
});

test('nodes that are not ready are told: the own one as an error, five of the others as warnings', () => {
  const others = Array.from({ length: 7 }, (_, at) => node(`w${at}`, { notReady: STOPPED }));
  const own = node('own', { isServer: true, notReady: STOPPED });
  const { 'own-node': ofOwn, nodes } = found({ nodes: { own, others } });
  expect(ofOwn).toEqual([
    {
      code: 'K3S_NOT_READY',
      message:
        'The node of this machine, "own", is not ready since 2026-01-01T10:00:00Z: Kubelet stopped',
      hint: 'Look at: sudo journalctl -u k3s',
    },
  ]);
  expect(nodes?.map(({ about }) => about)).toEqual(['w0', 'w1', 'w2', 'w3', 'w4']);
});

test('a node that is short of something is told, this machine first', () => {
  const others = [node('w', { shortOf: ['memory'] }), node('well')];
  const own = node('own', { shortOf: ['disk', 'process ids'] });
  expect(found({ nodes: { own, others } })).toMatchObject({
    shortages: [
      {
        about: 'own',
        message:
          'Node "own" is short of disk and process ids: it takes no new pods, and evicts some',
      },
      { about: 'w' },
    ],
  });
});

test('findings of the machine are told by what they are about', () => {
  const finding = (check: string) => ({ check, code: 'X', message: check, advice: 'Mend it' });
  const told = (check: string) => ({ about: check, code: 'X', message: check, hint: 'Mend it' });
  const checks = ['forwarding', 'inodes', 'etcd-snapshots', 'k3s-certificates'];
  expect(found({ findings: checks.map(finding) })).toEqual({
    ...{ disk: [told('inodes')], certificates: [told('k3s-certificates')] },
    ...{ snapshots: [told('etcd-snapshots')], machine: [told('forwarding')] },
  });
});

test('a certificate that ends within a month is told, and one that has ended', () => {
  const certificate = (of: string, endsAt: string) => ({ of, endsAt: new Date(endsAt) });
  const certificates = [
    certificate('kubelet', '2026-01-31T00:00:00Z'),
    certificate('Kubernetes API', '2026-01-30T23:00:00Z'),
    certificate('old one', '2025-12-30T00:00:00Z'),
  ];
  expect(found({ certificates, k3sUnit: 'k3s-agent' })).toEqual({
    certificates: [
      {
        about: 'Kubernetes API',
        code: 'CHECK_FAILED',
        message: 'The certificate of the Kubernetes API ends in 29 days, on 2026-01-30',
        hint: 'Restart k3s, which makes it anew; pods keep running: sudo systemctl restart k3s-agent',
      },
      expect.objectContaining({
        message: 'The certificate of the old one has ended on 2025-12-30',
      }),
    ],
  });
});

test('the checks that have a warnable of their own are there', () => {
  const ids = CHECKS.map(({ id }) => id);
  const own = ['disk-space', 'disk-filling', 'disk-trend', 'inodes', 'k3s-certificates'];
  expect(ids).toEqual(expect.arrayContaining([...own, 'snapshots', 'etcd-snapshots']));
});

test('an installed version that does not run yet is told', () => {
  expect(found({ versions: { running: '1.0.0', installed: '1.1.0' } })).toMatchObject({
    update: [{ message: 'Version 1.1.0 is installed, but version 1.0.0 still runs' }],
  });
  expect(found({ versions: { running: '1.0.0', installed: undefined } })).toEqual({});
});
