/**
 * SELinux that is enforcing: the rules of k3s are looked for before anything is changed. dnf and zypper are
 * played by what they print (dnf 4.14 and 5.2, zypper 1.14); no machine of the tests has SELinux.
 */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { errorOf, INSTALL_ENV, JOIN, JOIN_TOKEN } from '../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const INSTALL = ['install', '--cluster-name', 'test', '--json'];
const RHEL_9 = 'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.5"\nPRETTY_NAME="RHEL 9.5"\n';
const LEAP = 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n';

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
  await machine.put('/sys/fs/selinux/enforce', '1');
  await machine.put('/etc/os-release', RHEL_9);
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (env: Record<string, string> = {}, ...more: readonly string[]) =>
  machine.run([...INSTALL, ...more], { env: { ...INSTALL_ENV, ...env } });
const lookedWith = (program: string) =>
  machine.calls.filter(({ argv }) => argv[0] === program).map(({ argv }) => argv.join(' '));
const installerEnv = () =>
  machine.calls.find(({ argv }) => argv[0] === 'sh' && argv[1]?.endsWith('k3s-install.sh'))?.env;

test.each([
  ['9.5', '9'],
  ['8.10', '8'],
  ['10.0', '9'],
  ['42', '8'],
])(
  'on version %s dnf is asked for the package that k3s has for %s, and installs nothing',
  async (version, major) => {
    await machine.put('/etc/os-release', RHEL_9.replace('9.5', version));
    machine.programs.set('dnf', () => ({ exitCode: 1, stderr: 'Operation aborted.\n' }));
    await install();
    expect(lookedWith('dnf')).toEqual([
      `dnf --assumeno --repofrompath=k3s-selinux,https://rpm.rancher.io/k3s/stable/common/centos/${major}/noarch --setopt=k3s-selinux.gpgcheck=0 install k3s-selinux`,
    ]);
    expect(installerEnv()).not.toHaveProperty('INSTALL_K3S_SKIP_SELINUX_RPM');
  },
);

test.each([
  [
    'dnf 4',
    'Error: \n Problem: nothing provides container-selinux >= 3:2.191.0-1 needed by k3s-selinux',
  ],
  ['dnf 5', 'Failed to resolve the transaction:\nNo match for argument: k3s-selinux'],
])('what %s cannot resolve is refused before anything is changed', async (_, said) => {
  machine.programs.set('dnf', () => ({ exitCode: 1, stderr: `${said}\n` }));
  const before = await machine.listing();
  for (const ran of [
    await install(),
    await machine.run(JOIN, { env: INSTALL_ENV, stdin: JOIN_TOKEN }),
  ]) {
    expect(errorOf(ran)).toMatchObject({
      ...{ exitCode: 4, code: 'HOST_UNSUPPORTED' },
      message: `SELinux is enforcing, and its rules for k3s cannot be installed: ${said.split('\n').at(-1)?.trim()}`,
      hint: expect.stringContaining('PIPEOPS_IGNORE_CHECKS=selinux'),
    });
  }
  expect(await machine.listing()).toEqual(before);
});

test('who says so gets k3s without its rules, and nothing is looked for', async () => {
  await install({ PIPEOPS_IGNORE_CHECKS: 'selinux' });
  expect(lookedWith('dnf')).toEqual([]);
  expect(installerEnv()).toMatchObject({
    INSTALL_K3S_SKIP_SELINUX_RPM: 'true',
    INSTALL_K3S_SELINUX_WARN: 'true',
  });
});

test('zypper looks in its own way', async () => {
  await machine.put('/etc/os-release', LEAP);
  await machine.put('/usr/bin/zypper', '');
  machine.programs.set('zypper', () => ({ exitCode: 0 }));
  await install();
  expect(lookedWith('zypper')).toEqual([
    'zypper --non-interactive --no-gpg-checks --plus-repo https://rpm.rancher.io/k3s/stable/common/microos/noarch install --dry-run k3s-selinux',
  ]);
});

test.each([
  ['permissive', '/sys/fs/selinux/enforce', '0'],
  ['enforcing with the rules', '/usr/share/selinux/packages/k3s.pp', ''],
])('nothing is looked for where SELinux is %s', async (_, path, text) => {
  await machine.put(path, text);
  await install();
  expect(lookedWith('dnf')).toEqual([]);
});

test('a package manager that is not there or does not answer is no reason to refuse', async () => {
  await install(); // The simulated machine has no dnf.
  expect(installerEnv()).toMatchObject({ INSTALL_K3S_EXEC: 'server' });
});
