/** An application of two pods that is asked all the time, while the nodes below it change. */
import { WEB_IMAGE, WEB_PORT } from '../../vm/images.ts';
import type { Machine } from '../../vm/machine.ts';
import { waitUntil } from '../../vm/wait-until.ts';

const READY_TIMEOUT_MS = 120_000;
const NODE_PORT = 30_080;
const LOG = '/run/web-load.log';
const UNIT = 'web-load.service';
const labels = { app: 'web' };

const OBJECTS = [
  {
    ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' } },
    spec: {
      ...{ replicas: 2, selector: { matchLabels: labels } },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 10,
          containers: [
            {
              ...{ name: 'web', image: WEB_IMAGE, imagePullPolicy: 'Never' },
              readinessProbe: { httpGet: { port: WEB_PORT, path: '/' }, periodSeconds: 1 },
              // Whoever still asks it while it ends gets an answer.
              lifecycle: { preStop: { exec: { command: ['sleep', '5'] } } },
            },
          ],
        },
      },
    },
  },
  {
    ...{ apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'web' } },
    spec: { minAvailable: 1, selector: { matchLabels: labels } },
  },
  {
    ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' } },
    spec: {
      ...{ type: 'NodePort', selector: labels },
      ports: [{ port: WEB_PORT, nodePort: NODE_PORT }],
    },
  },
];

/**
 * Deploys it, and asks it some times a second from `asker`, a node that nobody switches off.
 * @returns stops asking, with how often it was asked, and the requests that had another status than 200 (000: none)
 */
export async function startLoad(server: Machine, asker: Machine) {
  await server.exec(['k3s', 'kubectl', 'apply', '-f', '-'], {
    stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: OBJECTS }),
  });
  const url = `http://${asker.address}:${NODE_PORT}/`;
  const ask = `curl -s -m 5 -o /dev/null -w '%{http_code} %{time_total} %{errormsg}' ${url}`;
  const ready = ['deployment', 'web', '-o', 'jsonpath={.status.readyReplicas}'];
  await waitUntil('the application answers', READY_TIMEOUT_MS, async () => {
    const { stdout } = await server.exec(['k3s', 'kubectl', 'get', ...ready]);
    const answer = await asker.exec(['sh', '-c', ask], { check: false });
    return stdout === '2' && answer.stdout.startsWith('200 ');
  });
  const script = `while :; do echo "$(date +%T.%3N) $(${ask})" >>${LOG}; sleep 0.1; done`;
  await asker.exec(['systemd-run', '--quiet', `--unit=${UNIT}`, 'sh', '-c', script]);
  return async () => {
    await asker.exec(['systemctl', 'stop', UNIT]);
    const lines = (await asker.readFile(LOG)).trim().split('\n');
    // When it began, status, how long it took, why it failed. The last one was cut off.
    const answers = lines.slice(0, -1);
    return {
      asked: answers.length,
      failed: answers.filter((each) => each.split(' ')[1] !== '200'),
    };
  };
}
