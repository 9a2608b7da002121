/** What a scrape costs on a large cluster: `/metrics` of a daemon that follows 10 000 pods. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderKubeconfig } from '../../src/protocol/files/kubeconfig.ts';
import { startControlPlane } from '../../test/support/control-plane/control-plane.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../../test/support/fake-kubernetes.ts';
import { podJson } from '../../test/support/pod-farm.ts';
import { waitUntil } from '../../test/vm/wait-until.ts';
import type { BenchCase } from './bench-case.ts';
import { median, round } from './start/numbers.ts';

const PODS = 10_000;
const SCRAPES = 200;
const READY_MS = 120_000;
const TARGET_MS = 5;
const OPEN_METRICS = { accept: 'application/openmetrics-text; version=1.0.0' };

export async function benchMetrics(executable: string): Promise<readonly BenchCase[]> {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-bench-'));
  await using controlPlane = startControlPlane({ token: 'bench-token' });
  await using kubernetes = await startFakeKubernetes();
  for (let index = 0; index < PODS; index += 1) {
    const pod = JSON.parse(podJson(index, 0));
    kubernetes.put(`/api/v1/namespaces/${pod.metadata.namespace}/pods/${pod.metadata.name}`, pod);
  }
  try {
    await prepare(directory, kubernetes, controlPlane.url);
    return await scrape(executable, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function prepare(
  directory: string,
  { url: server, ca, token }: FakeKubernetes,
  controlPlane: string,
): Promise<void> {
  await Bun.write(join(directory, 'kubeconfig'), renderKubeconfig('bench', { server, ca, token }));
  await Bun.write(join(directory, 'credentials/control-plane-token'), 'bench-token');
  await Bun.write(
    join(directory, 'config.yaml'),
    `control_plane: {url: "${controlPlane}"}\nhttp: {port: 0, tls_port: 0}\n`,
  );
}

async function scrape(executable: string, directory: string): Promise<readonly BenchCase[]> {
  const child = Bun.spawn([executable, 'run', '--config', join(directory, 'config.yaml')], {
    env: { STATE_DIRECTORY: directory, RUNTIME_DIRECTORY: directory },
    ...{ stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
  });
  const ask = async () => {
    const answer = await fetch('http://agent/metrics', {
      unix: join(directory, 'agent.sock'),
      headers: OPEN_METRICS,
    });
    return await answer.text();
  };
  try {
    await waitUntil('the pods are known', READY_MS, async () =>
      (await ask().catch(() => '')).includes('pipeops_agent_watch_lag_seconds{kind="pods"} 0\n'),
    );
    const took: number[] = [];
    for (let number = 0; number < SCRAPES; number += 1) {
      const began = performance.now();
      await ask();
      took.push(performance.now() - began);
    }
    const ours = round(median(took));
    const name = `GET /metrics, ${PODS} pods`;
    return [{ case: name, unit: 'ms', ours, target: TARGET_MS, met: ours <= TARGET_MS }];
  } finally {
    child.kill('SIGTERM');
    await child.exited;
  }
}
