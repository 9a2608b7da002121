/**
 * What was asked of a machine is what it is: settings reach k3s or are refused, README's kubeconfig
 * lines work, policies change without a gap, and a wrong file is named. One machine, one installation.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { SettingRow } from '../../src/machine/settings-in-force.ts';
import { ReadyAnswer } from '../../src/protocol/local-api.ts';
import { makeCertificates } from '../support/tls.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { bringProgram, openStand, runForDocument, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 300_000;
const ALL_TIMEOUT_MS = 900_000;
const CHANGE_TIMEOUT_MS = 60_000;
const AGENT = '/root/pipeops-agent';
const NODE = 'alpha';
const PERSON = 'ada';
const INSTALL = ['install', '--token-file', TOKEN_FILE, '--node-name', NODE];
const CA_FILE = '/etc/pipeops-agent/control-plane-ca.pem';
const CONFIG_FILE = '/etc/pipeops-agent/config.yaml';
const POLICY_FILE = '/etc/pipeops-agent/policy.yaml';
const K3S_CONFIG_FILE = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';
const READY_URL = 'http://127.0.0.1:8080/ready';
const READY = '{"ready":true,"reasons":[]}';
const ENDED_FILE = '/run/policy-applied';
/** Times that /ready is asked while a policy is applied, at least. */
const ANSWERS_MIN = 30;

const progress = reportProgress('settings');
let stand: Stand;
let machine: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('settings');
  machine = await stand.lab.boot({ name: 'settings', base: 'kubernetes' });
  await stand.equip(machine);
  await bringProgram(machine, AGENT);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

/** Runs the agent as root: its document, and its exit code. */
const run = (...args: readonly string[]) =>
  runForDocument(stand, machine, [AGENT, ...args], TEST_TIMEOUT_MS);

/** What a root shell prints; what went wrong is part of that. */
async function shell(script: string): Promise<string> {
  const { stdout, stderr } = await machine.exec(['sh', '-c', script], { check: false });
  return (stdout + stderr).trim();
}

const k3sProcess = () => shell('systemctl show --property=MainPID --value k3s');

/** What `config show` says of a setting, with nothing in the environment. */
async function shownSetting(name: string): Promise<Partial<SettingRow> | undefined> {
  const { stdout } = await machine.exec(['pipeops-agent', 'config', 'show', '--json']);
  const { settings } = JSON.parse(stdout) as { readonly settings: readonly SettingRow[] };
  return settings.find(({ setting }) => setting === name);
}

/** In this order, each on what the one before has left: tests run in any. */
const steps: { readonly title: string; readonly work: () => Promise<void> }[] = [];
const step = (title: string, work: () => Promise<void>) => void steps.push({ title, work });

step('the settings of the node reach the cluster', async () => {
  const installed = await progress.phase('install', () =>
    run(
      ...[...INSTALL, '--node-label', 'disk=ssd,example.com/rack=2'],
      ...['--node-taint', 'dedicated=gpu:PreferNoSchedule', '--node-ip', machine.address],
    ),
  );
  expect(installed).toMatchObject({ exitCode: 0, node: NODE });
  const nodes = JSON.parse(await shell('k3s kubectl get nodes -o json')).items;
  expect(nodes).toEqual([
    expect.objectContaining({
      metadata: expect.objectContaining({
        name: NODE,
        labels: expect.objectContaining({ disk: 'ssd', 'example.com/rack': '2' }),
      }),
      spec: expect.objectContaining({
        taints: [{ key: 'dedicated', value: 'gpu', effect: 'PreferNoSchedule' }],
      }),
    }),
  ]);
  expect(nodes[0].status.addresses).toContainEqual({
    type: 'InternalIP',
    address: machine.address,
  });
});

step('a second install with --traefik starts k3s again, with it', async () => {
  const before = await k3sProcess();
  expect(await machine.readFile(K3S_CONFIG_FILE)).toContain('disable: ["traefik"]');
  expect(await run(...INSTALL, '--traefik')).toMatchObject({ exitCode: 0 });
  expect(await k3sProcess()).not.toBe(before);
  expect(await machine.readFile(K3S_CONFIG_FILE)).not.toContain('traefik');
});

step(
  'another version of k3s, another name and a foreign address are refused, and nothing changes',
  async () => {
    const files = `sha256sum ${CONFIG_FILE} ${POLICY_FILE} ${K3S_CONFIG_FILE} /etc/pipeops-agent/*`;
    const before = [await shell(files), await k3sProcess()];
    for (const [flag, value, code] of [
      ['--k3s-version', 'v1.30.0+k3s1', 'SETTING_FIXED'],
      ['--node-name', 'beta', 'SETTING_FIXED'],
      ['--node-ip', '192.0.2.7', 'CONFIG_INVALID'],
    ] as const) {
      expect(await run(...INSTALL, flag, value)).toMatchObject({ error: { code } });
    }
    expect([await shell(files), await k3sProcess()]).toEqual(before);
  },
);

step("README's kubeconfig lines work for somebody who uses sudo", async () => {
  await shell(`useradd --create-home --shell /bin/sh ${PERSON}`);
  await machine.writeFile('/etc/sudoers.d/person', `${PERSON} ALL=(ALL) NOPASSWD: ALL\n`, {
    mode: 0o440,
  });
  const asPerson = async (line: string) =>
    await machine.exec(['runuser', '-l', PERSON, '-c', line], { check: false });
  const lines = [
    'sudo pipeops-agent kubeconfig --local --output ~/.kube/agent',
    'sudo kubectl --kubeconfig ~/.kube/agent get pods -A',
    'sudo pipeops-agent kubeconfig --local --merge',
    'sudo kubectl --kubeconfig ~/.kube/config get pods -A',
  ];
  for (const line of lines) {
    expect(await asPerson(line)).toMatchObject({ exitCode: 0 });
  }
  const files = await shell(`stat -c '%U %a %n' /home/${PERSON}/.kube/*`);
  expect(files.split('\n')).toEqual([
    `${PERSON} 600 /home/${PERSON}/.kube/agent`,
    `${PERSON} 600 /home/${PERSON}/.kube/config`,
  ]);
});

/** What /ready says all along, about 50 times a second, while the work is done. */
async function readyDuring(work: () => Promise<void>): Promise<readonly string[]> {
  const ask = `curl -s -m 5 -w '\\n' ${READY_URL} || echo 'no answer'`;
  const loop = `rm -f ${ENDED_FILE}; while [ ! -e ${ENDED_FILE} ]; do ${ask}; sleep 0.01; done`;
  const asking = machine.exec(['sh', '-c', loop], { timeoutMs: TEST_TIMEOUT_MS });
  await work();
  await machine.exec(['touch', ENDED_FILE]);
  return (await asking).stdout.trim().split('\n');
}

step('policy apply keeps the agent ready all along, and what somebody wrote', async () => {
  await machine.writeFile('/root/own.yaml', '# ours\npreset: standard\nexec: true\n');
  const answers = await readyDuring(async () => {
    for (const preset of ['read-only', 'operate', 'standard']) {
      expect(await run('policy', 'apply', '--preset', preset)).toMatchObject({ in_force: true });
    }
    await run('policy', 'apply', '--file', '/root/own.yaml');
    const applied = await run('policy', 'apply', '--preset', 'operate');
    expect(await machine.readFile(applied.previous_file_kept_as)).toContain('# ours');
  });
  expect(answers.filter((answer) => answer !== READY)).toEqual([]);
  expect(answers.length).toBeGreaterThan(ANSWERS_MIN);
});

step(
  'policy apply mends a policy that could not be used, and the next question hears that',
  async () => {
    await shell(`echo 'preset: none' > ${POLICY_FILE}`);
    await waitUntil('the policy is refused', CHANGE_TIMEOUT_MS, async () =>
      (await shell(`curl -s ${READY_URL}`)).includes('POLICY_INVALID'),
    );
    // Asked just before: what was found then must not be told again.
    const line = `curl -s ${READY_URL}; echo; pipeops-agent policy apply --preset standard >&2`;
    const { stdout } = await machine.exec(['sh', '-c', `${line}; curl -s ${READY_URL}`]);
    const [before, after] = stdout.split('\n');
    expect(before).toContain('POLICY_INVALID');
    expect(after).toBe(READY);
  },
);

step(
  'config show tells what is installed beside what the file says, and what comes at the next start',
  async () => {
    const version = /v\d+\.\d+\.\d+\+k3s\d+/.exec(await shell('k3s --version'))?.[0];
    const inForce = { in_force: true, note: null };
    expect(await shownSetting('k3s.version')).toMatchObject({ note: `installed: ${version}` });
    expect(await shownSetting('k3s.traefik')).toMatchObject({ ...inForce, value: true });
    expect(await shownSetting('k3s.node_name')).toMatchObject({ ...inForce, value: NODE });
    expect(await shownSetting('log.level')).toMatchObject({ ...inForce, value: 'info' });
    await shell(
      `cp -p ${CONFIG_FILE} /root/config.yaml; echo 'log: {level: debug}' >> ${CONFIG_FILE}`,
    );
    expect(await shownSetting('log.level')).toMatchObject({
      value: 'debug',
      source: 'file',
      in_force: false,
      note: 'after the next start: sudo systemctl restart pipeops-agent; now "info"',
    });
    await shell(`mv /root/config.yaml ${CONFIG_FILE}`);
  },
);

step(
  'a CA file of another authority is told by the daemon, one that is none by config validate too',
  async () => {
    const right = await machine.readFile(CA_FILE);
    const reasons = async () =>
      ReadyAnswer.parse(JSON.parse(await shell(`curl -s ${READY_URL}`)))
        .reasons.map(({ message }) => message)
        .join();
    const put = (pem: string) => machine.writeFile(CA_FILE, pem);
    await put((await makeCertificates(['127.0.0.1'])).ca.replace(/^/, '# another\n'));
    await waitUntil('the authority is named', CHANGE_TIMEOUT_MS, async () =>
      (await reasons()).includes('certificate'),
    );
    await put('nothing\n');
    await waitUntil('the file is named', CHANGE_TIMEOUT_MS, async () =>
      (await reasons()).includes(CA_FILE),
    );
    expect(await shell('pipeops-agent config validate')).toContain(
      `control_plane.ca_file: there is no certificate (PEM) in ${CA_FILE}`,
    );
    await put(right);
    await waitUntil('the session is back', CHANGE_TIMEOUT_MS, async () => (await reasons()) === '');
    expect(await shell('pipeops-agent config validate')).toBe(`${CONFIG_FILE}: no problems`);
  },
);

test(
  'settings reach what they are for, and what is told of them is so',
  async () => {
    for (const { title, work } of steps) {
      await progress.phase(title, work);
    }
    expect(steps.length).toBeGreaterThan(0);
  },
  ALL_TIMEOUT_MS,
);
