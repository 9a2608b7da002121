import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { kubernetesTrouble } from '../../src/daemon/probes.ts';
import { problemsOf } from '../../src/health/warnable.ts';
import { kubernetesClient } from '../../src/kubernetes/api/client.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import { manualClock } from '../support/manual-clock.ts';
import { tempDirectory } from '../support/temp-dir.ts';

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
  const answer = kubernetesTrouble({
    clock,
    kubernetes: kubernetesClient({
      clock,
      http: systemHttp,
      credentials: { current, reload: () => undefined },
    }),
  });
  await asked.promise;
  clock.advance(3_000);
  expect(problemsOf(await answer)).toEqual([
    {
      code: 'TIMEOUT',
      message: 'Kubernetes did not answer /version in time',
      hint: 'Look at the load of the machine and at: journalctl -u k3s',
    },
  ]);
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
