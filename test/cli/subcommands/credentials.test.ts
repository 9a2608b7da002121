/** `credentials renew` at boot, when k3s is not there yet: it waits, but not for ever. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  chmod,
  lstat,
  mkdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { cliContext } from '../../support/cli-context.ts';
import { serviceAccountToken } from '../../support/fake-kubernetes.ts';
import { manualClock } from '../../support/manual-clock.ts';

const MINT =
  '/usr/local/bin/k3s kubectl create token pipeops-agent --namespace=pipeops-system ' +
  '--duration=2592000s';
const NOT_YET = { exitCode: 1, stderr: 'connection refused' };
const RETRY_MS = 2_000;
const RENEW_TIMEOUT_MS = 60_000;

let machine: BareMachine;

beforeEach(async () => {
  machine = await bareMachine();
  // The test may not run as root: the owner of the file is whoever runs it.
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  await machine.put(
    '/etc/passwd',
    `root:x:${uid}:${gid}::/root:/bin/sh\npipeops-agent:x:${uid}:${gid}::/:/bin/sh\n`,
  );
  await machine.put('/etc/group', `root:x:${gid}:\npipeops-agent:x:${gid}:\n`);
  await machine.put('/run/.keep', '');
  await machine.put('/etc/pipeops-agent/.keep', '');
  await machine.put(
    '/var/lib/rancher/k3s/server/tls/server-ca.crt',
    '-----BEGIN CERTIFICATE-----\nY2E=\n-----END CERTIFICATE-----\n',
  );
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const kubeconfig = async () => (await machine.listing())['/etc/pipeops-agent/kubeconfig'];

test('credentials renew tells the daemon by what a copy of the machine is known', async () => {
  const mark = async (number: string) => {
    await machine.put('/sys/class/dmi/id/product_uuid', `${number}\n`);
    await machine.put('/etc/machine-id', 'the id\n');
    await machine.put('/proc/sys/kernel/random/boot_id', 'this boot\n');
    const programs = { [MINT]: { stdout: serviceAccountToken(new Date(), 3_600) } };
    await cliContext({ root: machine.path, programs }).run('credentials', 'renew');
    return JSON.parse((await machine.listing())['/run/pipeops-agent/machine'] ?? '');
  };
  const one = await mark('00112233-4455-6677-8899-aabbccddeeff');
  expect(one).toEqual({
    machine: 'the id',
    hardware: expect.stringMatching(/^[0-9a-f]{64}$/),
    boot: 'this boot',
  });
  // The same number as another kernel tells it, with its first three parts backwards.
  expect(await mark('33221100-5544-7766-8899-AABBCCDDEEFF')).toEqual(one);
  expect((await mark('10112233-4455-6677-8899-aabbccddeeff')).hardware).not.toBe(one.hardware);
  expect((await mark('Not Settable')).hardware).toBeNull();
});

test('credentials renew tries again until k3s answers', async () => {
  const clock = manualClock();
  const token = serviceAccountToken(clock.now(), 3_600);
  const answers = [NOT_YET, NOT_YET, { stdout: `${token}\n` }];
  const programs = { [MINT]: () => answers.shift() ?? NOT_YET };
  const cli = cliContext({ root: machine.path, clock, programs });
  const running = cli.run('credentials', 'renew');
  for (const _ of [1, 2]) {
    await clock.whenSleeping(1);
    expect(clock.remainingMs()).toEqual([RETRY_MS]);
    clock.advance(RETRY_MS);
  }
  expect(await running).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  expect(cli.started).toEqual([MINT, MINT, MINT]);
  expect(await kubeconfig()).toContain(token);
});

test('credentials renew gives up after a minute with what k3s said', async () => {
  const clock = manualClock();
  const cli = cliContext({ root: machine.path, clock, programs: { [MINT]: NOT_YET } });
  const running = cli.run('credentials', 'renew');
  await clock.whenSleeping(1);
  clock.advance(RENEW_TIMEOUT_MS + 1);
  expect(await running).toEqual({
    exitCode: 8,
    stdout: '',
    stderr:
      'pipeops-agent: error: Cannot mint a token: nothing answers on port 6443; k3s does not run, or still starts [KUBERNETES_API]\n' +
      'pipeops-agent: hint: Check that Kubernetes answers: k3s kubectl get nodes\n',
  });
  expect(cli.started).toEqual([MINT, MINT]);
  expect(await kubeconfig()).toBeUndefined();
});

test('credentials renew ends its wait at a signal', async () => {
  const clock = manualClock();
  const interrupt = new AbortController();
  const programs = { [MINT]: NOT_YET };
  const { signal } = interrupt;
  const cli = cliContext({ root: machine.path, clock, programs, signal });
  const running = cli.run('credentials', 'renew');
  await clock.whenSleeping(1);
  interrupt.abort();
  expect((await running).exitCode).toBe(8);
  expect(cli.started).toEqual([MINT]);
});

test('only the daemon reads the kubeconfig: one that its group could read is written anew', async () => {
  const clock = manualClock();
  const token = serviceAccountToken(clock.now(), 3_600);
  const cli = cliContext({ root: machine.path, clock, programs: { [MINT]: { stdout: token } } });
  const path = join(machine.path, '/etc/pipeops-agent/kubeconfig');
  const modeAfterRenewal = async () => {
    await cli.run('credentials', 'renew');
    return (await stat(path)).mode & 0o777;
  };
  expect(await modeAfterRenewal()).toBe(0o400);
  await chmod(path, 0o640); // As older versions wrote it.
  expect(await modeAfterRenewal()).toBe(0o400);
  await cli.run('credentials', 'renew');
  expect(cli.started).toEqual([MINT, MINT]);
});

test("root makes the local token anew at each start, in a directory of its own, with the socket's name", async () => {
  const runtime = join(machine.path, 'run/pipeops-agent');
  // As a daemon that was taken over would leave them.
  await mkdir(join(runtime, 'daemon'), { recursive: true, mode: 0o777 });
  await symlink('/etc/shadow', join(runtime, 'local-token'));
  await writeFile(join(runtime, 'agent.sock'), '');
  await rm(join(machine.path, 'var/lib/rancher'), { recursive: true });
  const cli = cliContext({ root: machine.path });
  for (const _ of [1, 2]) {
    const ran = await cli.run('credentials', 'renew');
    expect(ran).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    const token = await lstat(join(runtime, 'local-token'));
    const directory = await stat(runtime);
    expect([token.isFile(), token.mode & 0o7777, directory.mode & 0o7777]).toEqual([
      ...[true, 0o640, 0o755],
    ]);
    expect(await readlink(join(runtime, 'agent.sock'))).toBe('daemon/agent.sock');
    expect(await readFile(join(runtime, 'local-token'), 'utf8')).toMatch(/^[\w-]{43}\n$/);
    await writeFile(join(runtime, 'local-token'), 'of the last start');
  }
});

test('the token of the start before stays beside the new one, and nothing else that stood there does', async () => {
  const runtime = join(machine.path, 'run/pipeops-agent');
  await rm(join(machine.path, 'var/lib/rancher'), { recursive: true });
  const cli = cliContext({ root: machine.path });
  const read = async (name: string) =>
    await readFile(join(runtime, name), 'utf8').catch(() => undefined);
  await cli.run('credentials', 'renew');
  const first = await read('local-token');
  expect(await read('local-token-before')).toBeUndefined();
  await cli.run('credentials', 'renew');
  const { mode } = await lstat(join(runtime, 'local-token-before'));
  expect([await read('local-token-before'), mode & 0o7777]).toEqual([first, 0o640]);

  await rm(join(runtime, 'local-token'));
  await writeFile(join(machine.path, 'secret'), `${'s'.repeat(43)}\n`);
  await symlink(join(machine.path, 'secret'), join(runtime, 'local-token'));
  await cli.run('credentials', 'renew');
  expect(await read('local-token-before')).toBeUndefined();
});
