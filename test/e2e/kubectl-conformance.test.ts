/**
 * The real kubectl against a real cluster, three ways: to the API server itself, through the agent's
 * door on the machine, and through the control plane and the agent's session. It must not see a
 * difference, but for what the local policy refuses.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { type Case, DRAIN, PREPARE, PROXY, READ, STREAM, WRITE } from './kubectl/cases.ts';
import { REFUSED_BY_OPERATE, REFUSED_BY_STANDARD, type Refusal } from './kubectl/refusals.ts';
import { type Said, said } from './kubectl/transcript.ts';
import { directWay, localWay, sessionWay, type Way } from './kubectl/ways.ts';
import { installByOneLine, openStand, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const SETTLE_TIMEOUT_MS = 90_000;
/** kubectl's older protocol. */
const SPDY = {
  KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false',
  KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false',
};
/** Names of cases. */
const AT_GATEWAY = ['api-resources', 'watch', 'exec: standard input', 'exec: with a terminal'];

const progress = reportProgress('kubectl');
let stand: Stand;
let server: Machine;
let agentId = '';

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('kubectl');
  server = await stand.lab.boot({ name: 'kubectl-server', base: 'kubernetes', images: true });
  await stand.equip(server);
  await progress.phase('install', () =>
    installByOneLine(stand, server, ['--token-file', TOKEN_FILE, '--cluster-name', 'kubectl']),
  );
  agentId = (await stand.registeredAgent()).id;
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await stand?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

const applyPreset = (preset: string) =>
  server.exec(['pipeops-agent', 'policy', 'apply', '--preset', preset]);

const throughControlPlane = (name: string) =>
  sessionWay(name, `${stand.adminUrl()}/admin/agents/${agentId}/proxy`);

/** What every way said to each case. */
type Transcript = Readonly<Record<string, readonly [Way['name'], Said][]>>;

/** All ways at once: each has a namespace of its own. */
async function runAll(
  ways: readonly Way[],
  cases: readonly Case[],
  env: Readonly<Record<string, string>> = {},
): Promise<Transcript> {
  const transcript: Record<string, [string, Said][]> = {};
  for (const { name, script } of cases) {
    transcript[name] = await Promise.all(
      ways.map(
        async (way): Promise<[string, Said]> => [way.name, said(await way.run(script, env))],
      ),
    );
  }
  return transcript;
}

/** The first way is what the others are compared with; itself it must do what the case says. */
function compare(cases: readonly Case[], transcript: Transcript): void {
  for (const { name, exitCode = 0 } of cases) {
    const [first, ...others] = transcript[name] ?? [];
    expect({ name, said: first }).toEqual({
      name,
      said: [expect.any(String), expect.objectContaining({ exitCode })] as never,
    });
    for (const [way, itSaid] of others) {
      expect({ name, way, ...itSaid }).toEqual({ name, way, ...(first?.[1] as Said) });
    }
  }
}

async function sameEverywhere(
  phase: string,
  ways: readonly Way[],
  cases: readonly Case[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  await progress.phase(phase, async () => compare(cases, await runAll(ways, cases, env)));
}

async function refusedEverywhere(ways: readonly Way[], refusals: readonly Refusal[]) {
  for (const { script, rule } of refusals) {
    for (const way of ways) {
      const { exitCode, stderr } = await way.run(script);
      expect({ way: way.name, script, exitCode, stderr }).toEqual({
        way: way.name,
        script,
        exitCode: 1,
        stderr: expect.stringContaining(`(${rule})`),
      });
    }
  }
}

/** In the other protocol's conversation, with what is carried in different ways there. */
async function sameThroughGateway(direct: Way): Promise<void> {
  await stand.stopControlPlane();
  stand.startControlPlane({ gateway: true });
  await using gateway = await throughControlPlane('gateway');
  const cases = [...READ, ...STREAM].filter(({ name }) => AT_GATEWAY.includes(name));
  await waitUntil('the agent is at the gateway', SETTLE_TIMEOUT_MS, async () => {
    const { exitCode } = await gateway.run('k get --raw /version');
    return exitCode === 0 ? true : undefined;
  });
  compare(PREPARE, await runAll([gateway], PREPARE));
  await runAll([direct], PREPARE); // What was drained is there again.
  compare(cases, await runAll([direct, gateway], cases));
}

test(
  'kubectl does all it can, and sees no difference between the ways',
  async () => {
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-kubectl'), async () => {
      await applyPreset('operate');
      await using session = await throughControlPlane('session');
      const direct = directWay(server);
      const throughAgent = [await localWay(server), session];
      const ways = [direct, ...throughAgent];
      await sameEverywhere('prepare', ways, PREPARE);
      await sameEverywhere('read', ways, READ);
      await sameEverywhere('change', ways, WRITE);
      await sameEverywhere('proxy', ways, PROXY);
      await sameEverywhere('streams: WebSocket', ways, STREAM);
      await sameEverywhere('streams: SPDY', ways, STREAM, SPDY);
      await progress.phase('refused by operate', () =>
        refusedEverywhere(throughAgent, REFUSED_BY_OPERATE),
      );
      await applyPreset('standard');
      await progress.phase('refused by standard', () =>
        refusedEverywhere(throughAgent, REFUSED_BY_STANDARD),
      );
      await applyPreset('operate');
      await progress.phase('drain', async () => {
        for (const way of ways) {
          compare(DRAIN, await runAll([way], DRAIN)); // There is one node.
        }
      });
      await progress.phase('gateway', () => sameThroughGateway(direct));
    });
  },
  TEST_TIMEOUT_MS,
);
