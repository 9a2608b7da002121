/**
 * Debian's ufw and firewalld, switched on in front of a node: `doctor --fix` and `--open-firewall` let
 * through what it needs, and `uninstall` leaves their rules as they were.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test';
import { baseSystem } from '../vm/base-system.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { bringProgram, installEnvironment, openStand, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 600_000;
const RUN_TIMEOUT_MS = 240_000;
const START_TIMEOUT_MS = 60_000;
const AGENT = '/root/pipeops-agent';

const progress = reportProgress('firewalls');
let stand: Stand;
let machine: Machine;
/** The network of the test machines, which is a private one. */
let network: string;

beforeAll(async () => {
  await prepareTestMachines(progress);
  await progress.phase('firewalls of Debian', (tell) => baseSystem('firewalls', tell));
  stand = await openStand('firewalls');
  machine = await stand.lab.boot({ name: 'walled', base: 'firewalls' });
  await stand.equip(machine);
  await bringProgram(machine, AGENT);
  network = (await shell('ip -4 route show scope link')).split(' ')[0] ?? '';
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

afterEach(async () => {
  await shell(`ufw --force reset; systemctl stop firewalld
    rm -rf /etc/firewalld/zones/* /etc/firewalld/services/*`);
});

/** With the link of the machine in one of its zones. */
async function startFirewalld(zone: string): Promise<void> {
  await shell('systemctl start firewalld');
  await waitUntil('firewalld answers', START_TIMEOUT_MS, async () => {
    const { exitCode } = await machine.exec(['firewall-cmd', '--state'], { check: false });
    return exitCode === 0;
  });
  await shell(
    `firewall-cmd --permanent --zone=${zone} --add-interface=host0; firewall-cmd --reload`,
  );
}

async function shell(script: string): Promise<string> {
  return (await machine.exec(['sh', '-ec', script])).stdout.trim();
}

async function agent(...words: readonly string[]) {
  const { exitCode, stdout, stderr } = await machine.exec([AGENT, ...words], {
    env: installEnvironment(stand),
    timeoutMs: RUN_TIMEOUT_MS,
    check: false,
  });
  return { exitCode, stdout, stderr };
}

/** What `doctor` says of firewalls, once their tools answer: they are slow on a busy host. */
async function firewall(...flags: readonly string[]) {
  return await waitUntil('firewalls are looked at', RUN_TIMEOUT_MS, async () => {
    const seen = await seenFirewall(...flags);
    return seen.state === 'not-checked' ? undefined : seen;
  });
}

async function seenFirewall(...flags: readonly string[]) {
  const { stdout, stderr } = await agent('doctor', '--json', ...flags);
  expect(stdout, stderr).not.toBe('');
  const { checks, fixed } = JSON.parse(stdout) as {
    readonly fixed: readonly string[];
    readonly checks: readonly {
      readonly id: string;
      readonly state: string;
      readonly finding?: { readonly message: string; readonly fix?: string };
    }[];
  };
  const check = checks.find(({ id }) => id === 'firewall');
  return { fixed, state: check?.state, finding: check?.finding };
}

const KEPT_OUT =
  '6443/tcp (the API), 10250/tcp (the kubelet), 8472/udp (pods of other nodes), ' +
  'packets from 10.42.0.0/16, packets from 10.43.0.0/16';

test(
  'ufw is opened by doctor --fix, and for a whole installation',
  async () => {
    await shell('ufw allow 22/tcp; ufw allow from 10.43.0.0/16; ufw --force enable');
    const rules = () => shell('ufw show added');
    const before = await rules();
    const found = await firewall();
    expect(found.finding?.message).toBe(
      `ufw keeps out ${KEPT_OUT.replace(', packets from 10.43.0.0/16', '')}`,
    );
    expect(await firewall('--fix', '--yes')).toMatchObject({
      fixed: ['firewall-rules'],
      state: 'ok',
    });
    expect(await rules()).toContain(`ufw allow from ${network} to any port 8472 proto udp`);
    expect(await agent('uninstall', '--yes')).toMatchObject({ exitCode: 0 });
    expect(await rules()).toBe(before);

    const installed = await agent('install', '--token-file', TOKEN_FILE, '--open-firewall');
    expect(installed).toMatchObject({
      exitCode: 0,
      stderr: expect.not.stringContaining('keeps out'),
    });
    expect((await firewall()).state).toBe('ok');
    expect(await agent('uninstall', '--yes')).toMatchObject({ exitCode: 0 });
    expect(await rules()).toBe(before);
  },
  TEST_TIMEOUT_MS,
);

test(
  'firewalld is opened in the zone of its link, by what is told as by --fix',
  async () => {
    await startFirewalld('work');
    // A zone has services, an administrator's own among them.
    await shell(`firewall-cmd --permanent --new-service=node
      firewall-cmd --permanent --service=node --add-port=10250/tcp
      firewall-cmd --permanent --service=node --add-include=kube-apiserver
      firewall-cmd --permanent --zone=work --add-service=node
      firewall-cmd --reload`);
    const zones = () =>
      shell('firewall-cmd --list-all-zones; firewall-cmd --permanent --list-all-zones');
    const before = await zones();
    const found = await firewall();
    expect(found.finding?.message).toBe(
      'firewalld (zone work) keeps out 8472/udp (pods of other nodes), packets from 10.42.0.0/16, packets from 10.43.0.0/16',
    );
    // What was told for now only is not lost by a rule of ours.
    await shell('firewall-cmd --zone=work --add-port=7777/tcp');
    expect(await firewall('--fix', '--yes')).toMatchObject({
      fixed: ['firewall-rules'],
      state: 'ok',
    });
    expect(await shell('firewall-cmd --zone=work --query-port=7777/tcp')).toBe('yes');
    await shell('firewall-cmd --reload');
    expect((await firewall()).state).toBe('ok');
    expect(await agent('uninstall', '--yes')).toMatchObject({ exitCode: 0 });
    expect(await zones()).toBe(before);

    await shell((found.finding?.fix ?? 'false').replaceAll('sudo ', ''));
    expect((await firewall()).state).toBe('ok');
    // What a person has typed is a person's.
    expect(await firewall('--fix', '--yes')).toMatchObject({ fixed: [], state: 'ok' });
  },
  TEST_TIMEOUT_MS,
);

test(
  'rules in a firewalld that is off by now are taken back as well',
  async () => {
    await startFirewalld('public');
    const kept = () => shell('cat /etc/firewalld/zones/*.xml');
    // A person's, not loaded yet.
    await shell('firewall-cmd --permanent --zone=trusted --add-source=10.43.0.0/16');
    await firewall('--fix', '--yes');
    expect(await kept()).toContain(network);
    expect(await shell('firewall-cmd --zone=trusted --list-sources')).toBe(
      '10.42.0.0/16 10.43.0.0/16',
    );
    await shell('systemctl stop firewalld');
    expect(await agent('uninstall', '--yes')).toMatchObject({ exitCode: 0 });
    expect(await kept()).not.toContain(network);
    expect(await kept()).not.toContain('10.42.0.0/16');
    expect(await kept()).toContain('10.43.0.0/16');
  },
  TEST_TIMEOUT_MS,
);

test(
  'what a rule keeps out is let in by the lines that are told, and by no --fix',
  async () => {
    const mendedByHand = async () => {
      const { fixed, finding } = await firewall('--fix', '--yes');
      expect({ fixed, message: finding?.message }).toEqual({
        fixed: [],
        message: expect.stringContaining('keeps out 10250/tcp (the kubelet)'),
      });
      await shell((finding?.fix ?? 'false').replaceAll('sudo ', ''));
      expect((await firewall()).state).toBe('ok');
    };
    const open = ['22', '6443', '8472'].map((port) => `ufw allow ${port}`);
    const networks = ['10.42.0.0/16', '10.43.0.0/16'];
    const pods = networks.map((each) => `ufw allow from ${each}`);
    await shell(
      [
        'ufw deny 10250/tcp',
        ...open,
        ...pods,
        'ufw allow 10000:11000/tcp',
        'ufw --force enable',
      ].join('; '),
    );
    await mendedByHand();
    await shell('ufw --force reset');

    await startFirewalld('public');
    const sources = networks.map((each) => `--add-source=${each}`).join(' ');
    await shell(`firewall-cmd --permanent --zone=trusted ${sources}
      firewall-cmd --permanent --zone=public --add-port=6443/tcp --add-port=10250/tcp --add-port=8472/udp
      firewall-cmd --permanent --zone=public --add-rich-rule='rule port port="10250" protocol="tcp" reject'
      firewall-cmd --reload`);
    await mendedByHand();
  },
  TEST_TIMEOUT_MS,
);
