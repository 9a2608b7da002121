import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { sessionState } from '../../src/control-plane/session/state.ts';
import { AgentError } from '../../src/core/errors.ts';
import { serverReadiness } from '../../src/daemon/readiness.ts';
import { kubernetesClient } from '../../src/kubernetes/api/client.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import { parsePolicyFile } from '../../src/policy/read-file.ts';
import { failureOf } from '../support/failure-of.ts';
import { startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { clientOf } from '../support/fake-kubernetes-client.ts';
import { manualClock } from '../support/manual-clock.ts';
import { tempDirectory } from '../support/temp-dir.ts';

test('a server whose policy file cannot be used is not ready, and says which problem it has', async () => {
  await using kubernetes = await startFakeKubernetes();
  const clock = manualClock();
  const state = sessionState({ clock }, 'standalone');
  let policyProblem: AgentError | undefined;
  const readiness = serverReadiness({
    clock,
    kubernetes: clientOf(kubernetes),
    session: () => state.snapshot(),
    policyProblem: () => policyProblem,
    journalTrouble: () => undefined,
  });
  const signal = new AbortController().signal;
  expect(await readiness(signal)).toEqual({ ready: true, reasons: [] });

  policyProblem = await failureOf(async () => parsePolicyFile('exce: true', '/p.yaml'));
  clock.advance(60_000);
  expect(await readiness(signal)).toEqual({
    ready: false,
    reasons: [
      {
        code: 'POLICY_INVALID',
        message:
          'The policy has one problem:\n  - line 1: exce: is not a key, did you mean "exec"?',
        hint: expect.stringContaining('policy apply --file /p.yaml'),
      },
    ],
  });
});

test('without a session it is not ready: why, since when, and when the next try comes', async () => {
  await using kubernetes = await startFakeKubernetes();
  const clock = manualClock();
  const state = sessionState({ clock }, 'registering');
  const readiness = serverReadiness({
    clock,
    kubernetes: clientOf(kubernetes),
    session: () => state.snapshot(),
    policyProblem: () => undefined,
    journalTrouble: () => undefined,
  });
  const error = new AgentError('CONTROL_PLANE_UNREACHABLE', 'Cannot reach it', { hint: 'Look' });
  state.failed(error, 12_000);
  clock.advance(2_000);
  expect(await readiness(new AbortController().signal)).toEqual({
    ready: false,
    reasons: [
      {
        code: 'CONTROL_PLANE_UNREACHABLE',
        message: 'Cannot reach it (no session since 2026-01-01T00:00:00.000Z, next try in 10 s)',
        hint: 'Look',
      },
    ],
  });
});

test('a Kubernetes that hangs is told as one that did not answer in time', async () => {
  const asked = Promise.withResolvers<void>();
  await using hanging = Bun.serve({
    port: 0,
    fetch: () => {
      asked.resolve();
      return new Promise<Response>(() => undefined);
    },
  });
  const clock = manualClock();
  const current = async () => ({ server: hanging.url.origin, ca: '', token: 'T' });
  const readiness = serverReadiness({
    clock,
    kubernetes: kubernetesClient({
      clock,
      http: systemHttp,
      credentials: { current, reload: () => undefined },
    }),
    session: () => sessionState({ clock }, 'standalone').snapshot(),
    policyProblem: () => undefined,
    journalTrouble: () => undefined,
  });
  const answer = readiness(new AbortController().signal);
  await asked.promise;
  clock.advance(3_000);
  expect(await answer).toEqual({
    ready: false,
    reasons: [
      {
        code: 'TIMEOUT',
        message: 'Kubernetes did not answer /version in time',
        hint: 'Look at the load of the machine and at: journalctl -u k3s',
      },
    ],
  });
});

test('on a full disk it is not ready, nothing is acknowledged, and it is ready when there is room', async () => {
  await using directory = await tempDirectory();
  const script = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$1"';
  const life = Bun.spawn(
    // A mount of its own that goes with its last process.
    ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh'].concat(
      directory.path,
      process.execPath,
      join(import.meta.dir, 'full-disk-life.ts'),
    ),
    { stdout: 'pipe', stderr: 'inherit' },
  );
  const full = { ready: false, codes: ['DISK_FULL'] };
  const fine = { ready: true, codes: [] };
  expect(await life.stdout.json()).toEqual({
    outcomes: ['accepted', 'DISK_FULL', 'duplicate', 'accepted'],
    told: [fine, full, full, fine],
    messages: ['the journal cannot be written; commands wait', 'the journal can be written again'],
  });
  expect(await life.exited).toBe(0);
});
