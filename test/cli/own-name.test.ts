import { afterEach, beforeEach, expect, test } from 'bun:test';
import { type BareMachine, bareMachine } from '../support/bare-machine.ts';
import { cliContext } from '../support/cli-context.ts';

const SHORT = 'sudo pipeops-agent';
const FULL = 'sudo /usr/local/bin/pipeops-agent';
const RHEL = 'Defaults    secure_path = /sbin:/bin:/usr/sbin:/usr/bin\n';
const DEBIAN = 'Defaults\tsecure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"\n';

let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

test.each([
  ['nothing', {}, {}, SHORT],
  ['the sudoers of RHEL', { sudoers: RHEL }, {}, FULL],
  ['the sudoers of Debian', { sudoers: DEBIAN }, {}, SHORT],
  ['a line that was added', { sudoers: RHEL, 'sudoers.d/x': DEBIAN }, {}, SHORT],
  ['a comment', { sudoers: `# ${RHEL}` }, {}, SHORT],
  ['a PATH that sudo has set', {}, { SUDO_USER: 'ann', PATH: '/usr/sbin:/usr/bin' }, FULL],
  ['a PATH that sudo has left', {}, { SUDO_USER: 'ann', PATH: '/usr/bin:/usr/local/bin' }, SHORT],
] as const)('root is told to call it in a way that works by %s', async (_, files, env, call) => {
  for (const [name, text] of Object.entries(files)) {
    await machine.put(`/etc/${name}`, text);
  }
  const cli = cliContext({ root: machine.path, env });
  const help = await cli.run('uninstall', '--help');
  expect(help.stdout).toContain(`${call} uninstall --yes`);
  const failed = await cli.run('token', 'create', '--role', 'server', '--json');
  expect(failed.stderr).toContain(`${call} token create`);
  expect(JSON.parse(failed.stdout).error.hint).toContain(`${call} token create`);
});

test.each([
  ['/etc/debian_version', SHORT],
  ['/etc/redhat-release', FULL],
  ['/etc/system-release', FULL],
])('everybody else is told so on a machine with %s', async (path, call) => {
  await machine.put(path, '');
  const ran = await cliContext({ root: machine.path, uid: 1000 }).run('uninstall');
  expect(ran.stderr).toContain(`Run it with sudo: ${call} uninstall\n`);
});
