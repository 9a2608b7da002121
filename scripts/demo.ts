/** What scripts/demo.sh shows. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  installByOneLine,
  joinByToken,
  openStand,
  readyNodes,
  type Stand,
  TOKEN_FILE,
} from '../test/e2e/stand.ts';
import { WEB_IMAGE, WEB_PORT } from '../test/vm/images.ts';
import type { Machine } from '../test/vm/machine.ts';
import { prepareTestMachines } from '../test/vm/prepare.ts';
import { reasonMachinesCannotRun } from '../test/vm/prerequisites.ts';
import { reportProgress } from '../test/vm/progress.ts';
import { waitUntil } from '../test/vm/wait-until.ts';

const ROOT = join(import.meta.dir, '..');
const WAIT_TIMEOUT_MS = 120_000;

interface DemoResult {
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

const { values } = parseArgs({ options: { keep: { type: 'boolean' }, json: { type: 'boolean' } } });
const say = (text: string) => process.stderr.write(`${text}\n`);
const progress = reportProgress('demo');

const reason = await reasonMachinesCannotRun();
if (reason !== undefined) {
  say(`Cannot run the demo here: ${reason}`);
  process.exit(1);
}
await progress.phase('build', async () => {
  const argv = [process.execPath, 'scripts/build.ts', '--target', `linux-${process.arch}`];
  const child = Bun.spawn(argv, { cwd: ROOT, stdin: 'ignore', stdout: 2, stderr: 2 });
  if ((await child.exited) !== 0) {
    throw new Error('The build failed');
  }
});
await prepareTestMachines(progress);
await using stand = await openStand('demo');
const [server, worker] = await progress.phase('boot two bare machines', () =>
  Promise.all([
    stand.lab.boot({ name: 'server', base: 'kubernetes', images: true }),
    stand.lab.boot({ name: 'worker', base: 'kubernetes', images: true }),
  ]),
);
const result = await run(stand, server, worker);
if (values.json === true) {
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
}
say(`\n${result.nodes_ready} nodes are ready, and the application answers.`);
if (values.keep === true) {
  await keep(stand, server);
}

async function run(stand: Stand, server: Machine, worker: Machine): Promise<DemoResult> {
  await stand.equip(server);
  const install = await timed('install the first machine by one line', async () => {
    const args = ['--token-file', TOKEN_FILE, '--cluster-name', 'demo', '--json'];
    return JSON.parse((await installByOneLine(stand, server, args)).stdout);
  });
  const agent = await stand.registeredAgent();
  const joined = await timed('join the second machine', () => joinByToken(stand, server, worker));
  const nodes = await waitUntil('both nodes are ready', WAIT_TIMEOUT_MS, async () => {
    const count = await readyNodes(server);
    return count === 2 ? count : undefined;
  });
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
  return {
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
}

async function fetchApplication(server: Machine): Promise<string> {
  return await waitUntil('the application answers', WAIT_TIMEOUT_MS, async () => {
    const jsonPath = '-ojsonpath={.spec.clusterIP}';
    const service = await server.exec(['k3s', 'kubectl', 'get', 'service', 'web', jsonPath]);
    const url = `http://${service.stdout}:${WEB_PORT}/`;
    return (await server.exec(['curl', '-fsS', '-m', '5', url])).stdout;
  });
}

async function timed<T>(what: string, work: () => Promise<T>) {
  const began = performance.now();
  const value = await progress.phase(what, work);
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

async function keep(stand: Stand, server: Machine): Promise<void> {
  const enter = (await server.argvOnHost(['bash', '-l'])).join(' ');
  say(`\nAll of it keeps running:
  the fleet, in a browser:   ${stand.adminUrl()}/
  a shell on the server:     ${enter}
  then, for example:         pipeops-agent status
To stop it and clean up:     press Ctrl-C here, or: kill ${process.pid}`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => resolve());
    }
  });
}
