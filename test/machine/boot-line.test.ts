/** `doctor --fix` where the kernel does not count memory: for each boot loader, and back. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { scaledClock } from '../support/scaled-clock.ts';
import { type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const PI = 'console=serial0,115200 root=PARTUUID=1 rootwait';
const ADDED = 'cgroup_memory=1 cgroup_enable=memory';
const CONTROLLERS = '/sys/fs/cgroup/cgroup.controllers';
const DROP_IN = '/etc/default/grub.d/zz-pipeops.cfg';
const GRUB = 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="quiet"\n';
const OF_GRUB = `GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX ${ADDED}"`;

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
  await machine.files.remove('/run/systemd/container');
  machine.programs.set('timedatectl', () => ({ stdout: 'NTP=yes\nNTPSynchronized=yes' }));
  await machine.put(CONTROLLERS, 'cpuset cpu io pids\n');
});
afterEach(async () => await machine[Symbol.asyncDispose]());

/** A check has a few seconds; on a busy machine these last longer. */
const patient = scaledClock(1 / 20);
const fix = (...more: readonly string[]) =>
  machine.run(['doctor', '--fix', '--yes', '--json', ...more], { clock: patient });
const uninstall = () => machine.run(['uninstall', '--yes', '--json']);
const read = (path: string) => machine.files.readText(path);
/** Of the check, after the repairs. */
const foundIn = ({ stdout }: { readonly stdout: string }) =>
  JSON.parse(stdout).checks.find(({ id }: { id: string }) => id === 'cgroup-controllers').finding;

test.each([['/boot/firmware/cmdline.txt'], ['/boot/cmdline.txt']])(
  'the boot line of a Raspberry Pi in %s stays one line, with a copy beside it, and is put back',
  async (file) => {
    await machine.put(file, `${PI}\n`, 0o755);
    const before = await machine.tree();
    const shown = await machine.run(['doctor', '--fix'], { confirm: false, clock: patient });
    expect(shown.stderr).toContain(`\n-${PI}\n+${PI} ${ADDED}\n`);
    expect(await machine.tree()).toEqual(before);
    const ran = await fix();
    expect(await read(file)).toBe(`${PI} ${ADDED}\n`);
    expect(await read(`${file}.before-pipeops`)).toBe(`${PI}\n`);
    expect(foundIn(ran)).toMatchObject({ hint: 'Restart it', fix: 'sudo reboot' });
    expect(machine.calls.filter(({ argv }) => /reboot/.test(argv.join(' ')))).toEqual([]);
    expect(JSON.parse((await fix()).stdout).fixed).toEqual([]);
    expect((await uninstall()).exitCode).toBe(0);
    expect(await machine.tree()).toEqual(before);
  },
);

test('what a person has added to the boot line since stays when the agent goes', async () => {
  const file = '/boot/firmware/cmdline.txt';
  await machine.put(file, `${PI}\n`);
  await fix();
  await machine.put(file, `${PI} ${ADDED} quiet\n`);
  await uninstall();
  expect(await read(file)).toBe(`${PI} ${ADDED} quiet\n`);
});

/** The program that makes what GRUB reads, as far as it is seen from outside. */
async function withGrub(maker: string, made: string): Promise<void> {
  await machine.put('/etc/default/grub', GRUB);
  await machine.put(`/usr/sbin/${maker}`, '');
  const make = async () => {
    const texts = await Promise.all(['/etc/default/grub', DROP_IN].map(read));
    await machine.put(made, `linux /vmlinuz ${texts.join('').includes(OF_GRUB) ? ADDED : ''}\n`);
  };
  await make();
  machine.programs.set(maker, async () => {
    await make();
    return {};
  });
}

test('GRUB of Debian gets a file of its own, and is told again when that goes', async () => {
  await withGrub('update-grub', '/boot/grub/grub.cfg');
  const before = await machine.listing();
  expect(foundIn(await fix())).toMatchObject({ fix: 'sudo reboot' });
  expect(await read(DROP_IN)).toContain(`\n${OF_GRUB}\n`);
  expect(await read('/etc/default/grub')).toBe(GRUB);
  expect(await read('/boot/grub/grub.cfg')).toContain(ADDED);
  await uninstall();
  expect(await machine.listing()).toEqual(before);
});

test('another GRUB reads no such file: its own gets one line more', async () => {
  await withGrub('grub2-mkconfig', '/boot/grub2/grub.cfg');
  const before = await machine.listing();
  expect(foundIn(await fix())).toMatchObject({ fix: 'sudo reboot' });
  expect(await read('/etc/default/grub')).toStartWith(GRUB);
  expect(await read('/etc/default/grub')).toEndWith(`\n${OF_GRUB}\n`);
  expect(machine.calls.map(({ argv }) => argv.join(' '))).toContain(
    'grub2-mkconfig -o /boot/grub2/grub.cfg',
  );
  await uninstall();
  expect(await machine.listing()).toEqual(before);
});

test('a program that fails leaves what the machine starts with as it is, and the next run goes on', async () => {
  await withGrub('update-grub', '/boot/grub/grub.cfg');
  const works = machine.programs.get('update-grub');
  machine.programs.set('update-grub', () => ({ exitCode: 1, stderr: 'no room' }));
  const failed = await fix();
  expect(JSON.parse(failed.stdout).error).toMatchObject({
    code: 'TOOL_FAILED',
    message: 'update-grub failed: no room',
  });
  machine.programs.set('update-grub', works ?? (() => ({})));
  expect(foundIn(await fix())).toMatchObject({ fix: 'sudo reboot' });
});

test('grubby gets only what is missing, and gives that back', async () => {
  await machine.put('/usr/sbin/grubby', '');
  let args = 'ro quiet cgroup_memory=1';
  machine.programs.set('grubby', ([, ...words]) => {
    const [, verb = '', given = ''] = /^--(args|remove-args)=(.+)$/.exec(words.at(-1) ?? '') ?? [];
    args = verb === 'args' ? `${args} ${given}` : args;
    args = verb === 'remove-args' ? args.replace(` ${given}`, '') : args;
    return { stdout: `index=0\nkernel="/boot/vmlinuz"\nargs="${args}"\n` };
  });
  expect(foundIn(await fix())).toMatchObject({ fix: 'sudo reboot' });
  expect(args).toBe('ro quiet cgroup_memory=1 cgroup_enable=memory');
  await uninstall();
  expect(args).toBe('ro quiet cgroup_memory=1');
});
