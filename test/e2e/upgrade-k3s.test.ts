/** k3s goes to the next minor version on real machines, under a load that must not notice. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { K3S_VERSION } from '../vm/k3s-build.ts';
import { prepareK3sRelease } from '../vm/k3s-release.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { installByOneLine, openStand, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const UPGRADE_TIMEOUT_MS = 300_000;
const NEXT = 'v1.37.0+k3s1';

const progress = reportProgress('upgrade-k3s');
let stand: Stand;
let server: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  const next = await progress.phase('the next k3s', (tell) => prepareK3sRelease(NEXT, tell));
  stand = await openStand('upgrade-k3s', { otherK3s: [next] });
  server = await stand.lab.boot({ name: 'server', base: 'kubernetes', images: true });
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await stand?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

async function upgrade(machine: Machine, ...words: readonly string[]) {
  const { exitCode, stdout, stderr } = await machine.exec(
    ['pipeops-agent', 'upgrade', 'k3s', ...words, '--json'],
    { timeoutMs: UPGRADE_TIMEOUT_MS, check: false },
  );
  return { exitCode, document: JSON.parse(stdout), stderr };
}

test(
  'a cluster goes to the next minor version of k3s',
  async () => {
    await stand.equip(server);
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-upgrade-k3s'), async () => {
      await progress.phase('install', () =>
        installByOneLine(stand, server, ['--token-file', TOKEN_FILE, '--cluster-name', 'up']),
      );
      const { document } = await progress.phase('upgrade', () => upgrade(server, '--to', NEXT));
      expect(document).toMatchObject({ from: K3S_VERSION, to: NEXT, outcome: 'done' });
    });
  },
  TEST_TIMEOUT_MS,
);
