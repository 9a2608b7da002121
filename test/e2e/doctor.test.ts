/**
 * `doctor` and `health-check` on a real machine: bare, installed, with something wrong, and mended.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { Machine } from '../vm/machine.ts';
import { compareStates } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { bringProgram, installEnvironment, openStand, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 600_000;
const START_TIMEOUT_MS = 30_000;
/** Of the agent, which looks after a minute. */
const LOOK_TIMEOUT_MS = 120_000;
/** What a person waits for. */
const DOCTOR_SECONDS_MAX = 3;
/** Where others than root reach it, too. */
const AGENT = '/srv/pipeops-agent';
const FORWARDING = 'net.ipv4.ip_forward';
const SETTINGS = '/etc/sysctl.d/zz-pipeops-forwarding.conf';

const progress = reportProgress('doctor');
let stand: Stand;
let machine: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('doctor');
  machine = await stand.lab.boot({ name: 'patient', base: 'kubernetes' });
  await stand.equip(machine);
  await bringProgram(machine, AGENT);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

interface Told {
  readonly role: string;
  readonly seconds: number;
  readonly fixed: readonly string[];
  readonly checks: readonly {
    readonly id: string;
    readonly severity: string;
    readonly state: string;
    readonly because?: string;
    readonly finding?: { readonly message: string; readonly fix?: string };
  }[];
}

async function run(words: readonly string[], user = 'root') {
  const as = user === 'root' ? [] : ['runuser', '-u', user, '--'];
  const { exitCode, stdout, stderr } = await machine.exec([...as, AGENT, ...words, '--json'], {
    env: installEnvironment(stand),
    timeoutMs: TEST_TIMEOUT_MS,
    check: false,
  });
  expect(stdout, stderr).not.toBe('');
  return { exitCode, ...(JSON.parse(stdout) as Told) };
}

/** Ids of what was found, the worst. */
const wrong = ({ checks }: Told) =>
  checks
    .filter(({ state, severity }) => state === 'found' && severity === 'blocks')
    .map(({ id }) => id);
const unknown = ({ checks }: Told) =>
  checks
    .filter(({ state }) => state === 'not-checked')
    .map(({ id, because }) => `${id}: ${because}`);

test(
  'a bare machine is fit, and a program that has a port is told with its unit',
  async () => {
    const before = await machine.snapshotState();
    const fit = await run(['doctor']);
    expect([fit.exitCode, fit.role, wrong(fit)]).toEqual([0, 'bare', []]);
    expect(fit.seconds).toBeLessThan(DOCTOR_SECONDS_MAX);
    expect(compareStates(before, await machine.snapshotState())).toEqual([]);

    const holder = ['socat', 'TCP-LISTEN:10250,fork,reuseaddr', 'SYSTEM:true'];
    await machine.exec(['systemd-run', '--quiet', '--unit=holder', ...holder]);
    await waitUntil('the port is taken', START_TIMEOUT_MS, async () => {
      return (await machine.exec(['ss', '-Hltn'])).stdout.includes(':10250');
    });
    const taken = await run(['doctor']);
    expect([taken.exitCode, wrong(taken)]).toEqual([11, ['ports']]);
    const { finding } = taken.checks.find(({ id }) => id === 'ports') ?? {};
    expect(finding?.message).toMatch(
      /^These ports are taken: 10250 by socat \(pid \d+, holder\.service\)$/,
    );
    // Without root the program is not seen, and it is said so; the port is.
    const byOther = await run(['doctor'], 'nobody');
    expect(wrong(byOther)).toEqual(['ports']);
    await machine.exec(
      finding?.fix?.replace('sudo ', '').replace('disable --now', 'stop').split(' ') ?? [],
    );
    expect((await run(['doctor'])).exitCode).toBe(0);
  },
  TEST_TIMEOUT_MS,
);

test(
  'an installed server has nothing wrong; what somebody turns off is found, mended and taken back',
  async () => {
    expect(await run(['install', '--token-file', TOKEN_FILE])).toMatchObject({ exitCode: 0 });
    const well = await run(['doctor']);
    expect([well.exitCode, well.role, wrong(well), unknown(well)]).toEqual([0, 'server', [], []]);
    expect(well.seconds).toBeLessThan(DOCTOR_SECONDS_MAX);
    expect(await run(['health-check'])).toMatchObject({ exitCode: 0 });
    const byOther = await run(['doctor'], 'nobody');
    expect([byOther.exitCode, byOther.role, wrong(byOther)]).toEqual([0, 'server', []]);
    expect(unknown(byOther).join('\n')).toMatch(/k3s-certificates: .*root may.*agent: .*sudo/s);

    await machine.exec(['sysctl', '-w', `${FORWARDING}=0`]);
    const sick = await run(['doctor']);
    expect([sick.exitCode, wrong(sick)]).toEqual([11, ['forwarding']]);
    expect(await run(['health-check'])).toMatchObject({ exitCode: 11 });
    // The agent finds it by itself, a minute after its start and then every hour.
    await machine.exec(['systemctl', 'restart', 'pipeops-agent']);
    await waitUntil('status tells it', LOOK_TIMEOUT_MS, async () => {
      const { stdout } = await machine.exec([AGENT, 'status', '--json'], { check: false });
      return stdout.includes(`Too low: ${FORWARDING} is 0, not 1`);
    });
    expect(await run(['doctor', '--fix', '--yes'])).toMatchObject({
      exitCode: 0,
      fixed: ['forwarding'],
    });
    expect((await machine.exec(['sysctl', '-n', FORWARDING])).stdout.trim()).toBe('1');
    expect(await machine.readFile(SETTINGS)).toContain(`# before: ${FORWARDING} = 0\n`);
    expect(await run(['health-check'])).toMatchObject({ exitCode: 0 });

    await machine.exec(['systemctl', 'stop', 'pipeops-agent']);
    const stopped = await run(['health-check']);
    expect([stopped.exitCode, wrong(stopped)]).toEqual([11, ['agent']]);

    await machine.exec([AGENT, 'uninstall', '--yes'], { timeoutMs: TEST_TIMEOUT_MS });
    expect((await machine.exec(['ls', '/etc/sysctl.d'])).stdout).not.toContain('pipeops');
  },
  TEST_TIMEOUT_MS,
);
