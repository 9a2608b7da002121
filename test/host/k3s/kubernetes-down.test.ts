/** What is said while k3s does not answer: kubectl's words are not for a person. */
import { expect, test } from 'bun:test';
import { placesOf } from '../../../src/core/places.ts';
import type { Exec } from '../../../src/core/ports.ts';
import { readKubernetesJson } from '../../../src/host/k3s/kubectl.ts';
import { kubectlTrouble } from '../../../src/host/k3s/kubectl-words.ts';
import { failureOf } from '../../support/failure-of.ts';
import { manualClock } from '../../support/manual-clock.ts';

const REFUSED =
  'E1129 10:00:00.123456   17 memcache.go:265] "Unhandled Error" err="couldn\'t get current server API group list: Get \\"https://127.0.0.1:6443/api?timeout=32s\\": dial tcp 127.0.0.1:6443: connect: connection refused"\n' +
  'The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?\n';
const DOWN = 'nothing answers on port 6443; k3s does not run, or still starts';

test.each([
  [REFUSED, { text: DOWN, passing: true }],
  [
    'Unable to connect to the server: net/http: TLS handshake timeout',
    {
      text: 'it does not answer in time; k3s still starts, or the machine is too busy',
      passing: true,
    },
  ],
  [
    'Error from server (ServiceUnavailable): the server is currently unable to handle the request',
    { text: 'it is not ready to answer; k3s still starts, or is stopping', passing: true },
  ],
  [
    'error: You must be logged in to the server (Unauthorized)',
    { text: "it does not accept the administrator's credentials", passing: false },
  ],
  [
    'Error from server (NotFound): nodes "x" not found\n',
    { text: 'nodes "x" not found', passing: false },
  ],
  ['', { text: 'kubectl gave no reason', passing: false }],
])('kubectl says %j', (stderr, trouble) => {
  expect(kubectlTrouble(stderr)).toEqual(trouble);
});

test('a question waits five seconds for an API that restarts, and no longer', async () => {
  const clock = manualClock();
  const places = placesOf();
  let answers = 0;
  const exec: Exec = {
    run: async () => {
      answers += 1;
      return answers < 3
        ? { exitCode: 1, stdout: '', stderr: REFUSED }
        : { exitCode: 0, stdout: '{"items":[]}', stderr: '' };
    },
  };
  const reading = readKubernetesJson({ clock, exec, places }, ['get', 'nodes']);
  for (let waits = 0; waits < 2; waits += 1) {
    await clock.whenSleeping(1);
    clock.advance(500);
  }
  expect(await reading).toEqual({ items: [] });

  const down: Exec = { run: async () => ({ exitCode: 1, stdout: '', stderr: REFUSED }) };
  const failing = failureOf(() =>
    readKubernetesJson({ clock, exec: down, places }, ['get', 'nodes']),
  );
  await clock.whenSleeping(1);
  clock.advance(5_000);
  expect(await failing).toMatchObject({
    code: 'KUBERNETES_API',
    message: `Kubernetes does not answer: ${DOWN}`,
    hint: expect.stringContaining('sudo systemctl start k3s'),
  });
});
