/** What scripts/demo.sh shows. */
import { parseArgs, stripVTControlCharacters } from 'node:util';
import {
  bootTwo,
  installByOneLine,
  joinByToken,
  openStand,
  readyNodes,
  type Stand,
  TOKEN_FILE,
} from '../test/e2e/stand.ts';
import { testRelease } from '../test/e2e/test-release.ts';
import { WEB_IMAGE, WEB_PORT } from '../test/vm/images.ts';
import { type ChosenK3s, chooseK3s, k3sPlaces, prepareK3sRelease } from '../test/vm/k3s-release.ts';
import type { Machine } from '../test/vm/machine.ts';
import { prepareTestMachines } from '../test/vm/prepare.ts';
import { reasonMachinesCannotRun } from '../test/vm/prerequisites.ts';
import { showProgress } from '../test/vm/progress.ts';
import { waitUntil } from '../test/vm/wait-until.ts';
import { keepRunning } from './demo/keep.ts';
import { openShell } from './demo/shell.ts';

const WAIT_TIMEOUT_MS = 120_000;

interface DemoResult {
  /** What was installed: a release of k3s where one could be reached, else the k3s for tests. */
  readonly k3s: { readonly version: string; readonly source: ChosenK3s['source'] };
  readonly nodes_ready: number;
  readonly agent_registered: boolean;
  readonly deploy_succeeded: boolean;
  readonly application_answered: boolean;
  readonly seconds: {
    readonly install: number;
    readonly node_ready: number;
    readonly registered: number;
    readonly join: number;
    readonly deploy: number;
  };
}

const USAGE = `Usage: ./scripts/demo.sh [--keep] [--json]
       ./scripts/demo.sh shell NAME [COMMAND…]   on a machine of a demo that keeps running
`;
const say = (text: string) => void process.stderr.write(`${text}\n`);

if (process.argv[2] === 'shell') {
  const [name, ...command] = process.argv.slice(3);
  process.exit(name === undefined ? usage() : await openShell(name, command));
}
const { keep, json } = readFlags();
const progress = showProgress('demo');
const reason = await reasonMachinesCannotRun();
if (reason !== undefined) {
  say(`Cannot run the demo here: ${reason}`);
  process.exit(1);
}
await progress.phase('build the agent', () => testRelease());
const k3s = await prepare();
say(
  k3s.source === 'release'
    ? `k3s is the release ${k3s.release.version}, ${k3s.because}.`
    : `k3s is the one for tests (test/k3s, ${k3s.release.version}), as no release can be reached: ${k3s.because}.`,
);
const stand = await openStand('demo', { k3s: k3s.release });
const interrupted = endWhenInterrupted();
try {
  const [server, worker] = await progress.phase('boot two bare machines', () => bootTwo(stand));
  const { result, agentId } = await run(stand, server, worker, k3s);
  if (json) {
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  }
  say(`\n${result.nodes_ready} nodes are ready, and the application answers.`);
  if (keep) {
    interrupted.ignore();
    await keepRunning(stand, agentId, say);
  }
} catch (error) {
  say(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  interrupted.ignore();
  await progress.phase('clean up', async () => await stand[Symbol.asyncDispose]());
}

function readFlags(): { keep: boolean; json: boolean } {
  try {
    const options = { keep: { type: 'boolean' }, json: { type: 'boolean' } } as const;
    const { values } = parseArgs({ options });
    return { keep: values.keep === true, json: values.json === true };
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exit(usage());
  }
}

function usage(): number {
  process.stderr.write(USAGE);
  return 2;
}

/** With K3S_RELEASE that one; PIPEOPS_K3S_MIRROR is a mirror of releases. */
async function prepare(): Promise<ChosenK3s> {
  const { K3S_RELEASE: wanted, PIPEOPS_K3S_MIRROR: mirror } = process.env;
  let chosen: ChosenK3s | undefined;
  await prepareTestMachines(progress, async (tell) => {
    const own = () => prepareK3sRelease(undefined, tell);
    chosen =
      wanted === undefined || wanted === ''
        ? await chooseK3s(k3sPlaces(mirror), own, tell)
        : { release: await own(), source: 'release', because: 'as K3S_RELEASE says' };
  });
  if (chosen === undefined) {
    throw new Error('There is no k3s');
  }
  return chosen;
}

/** Before the demo is kept there is nobody to wait for: machines and network go at once. */
function endWhenInterrupted(): { ignore(): void } {
  const end = async (signal: NodeJS.Signals) => {
    say(`\n${signal}: cleaning up`);
    await stand[Symbol.asyncDispose]();
    process.exit(1);
  };
  process.once('SIGINT', end).once('SIGTERM', end);
  return { ignore: () => void process.off('SIGINT', end).off('SIGTERM', end) };
}

async function run(
  stand: Stand,
  server: Machine,
  worker: Machine,
  { release, source }: ChosenK3s,
): Promise<{ readonly result: DemoResult; readonly agentId: string }> {
  await stand.equip(server);
  const install = await timed('install the first machine by one line', async (heard) => {
    const args = ['--token-file', TOKEN_FILE, '--cluster-name', 'demo', '--json'];
    return JSON.parse((await installByOneLine(stand, server, args, { heard })).stdout);
  });
  const agent = await stand.registeredAgent();
  const joined = await timed('join the second machine', (heard) =>
    joinByToken(stand, server, worker, { heard }),
  );
  const { value: nodes } = await timed('both nodes are ready', () =>
    waitUntil('both nodes are ready', WAIT_TIMEOUT_MS, async () => {
      const count = await readyNodes(server);
      return count === 2 ? count : undefined;
    }),
  );
  const deployed = await timed('deploy through the control plane', async () => {
    const id = await stand.command(agent.id, 'deploy', {
      name: 'web',
      namespace: 'default',
      image: WEB_IMAGE,
      replicas: 2,
      ports: [{ container_port: WEB_PORT }],
    });
    return (await stand.finished(agent.id, id)).result;
  });
  const answered = await timed('fetch the application', () => fetchApplication(server));
  const result = {
    k3s: { version: release.version, source },
    nodes_ready: nodes,
    agent_registered: agent.registrations > 0,
    deploy_succeeded: deployed.value?.success === true,
    application_answered: answered.value.includes('hello'),
    seconds: {
      install: install.seconds,
      node_ready: secondsUntil(install, 'node-ready'),
      registered: secondsUntil(install, 'agent-ready'),
      join: joined.seconds,
      deploy: deployed.seconds,
    },
  };
  return { result, agentId: agent.id };
}

async function fetchApplication(server: Machine): Promise<string> {
  return await waitUntil('the application answers', WAIT_TIMEOUT_MS, async () => {
    const jsonPath = '-ojsonpath={.spec.clusterIP}';
    const service = await server.exec(['k3s', 'kubectl', 'get', 'service', 'web', jsonPath]);
    const url = `http://${service.stdout}:${WEB_PORT}/`;
    return (await server.exec(['curl', '-fsS', '-m', '5', url])).stdout;
  });
}

async function timed<T>(what: string, work: (heard: (line: string) => void) => Promise<T>) {
  const began = performance.now();
  const value = await progress.phase(what, (tell) => work((line) => tell(stepOf(line))));
  return { value, seconds: Math.round(performance.now() - began) / 1_000 };
}

/** From the start of the one line to the end of a step of the installation. */
function secondsUntil(
  install: {
    readonly seconds: number;
    readonly value: { steps: readonly { id: string; seconds: number }[] };
  },
  id: string,
): number {
  const { steps } = install.value;
  const after = steps.slice(steps.findIndex((step) => step.id === id) + 1);
  const later = after.reduce((sum, step) => sum + step.seconds, 0);
  return Math.round((install.seconds - later) * 1_000) / 1_000;
}

/** What a subcommand says of a step, without its mark. */
function stepOf(line: string): string {
  return stripVTControlCharacters(line).replace(/^[…✓✗\s]+/, '');
}
