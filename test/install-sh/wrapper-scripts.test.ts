import { describe, expect, test } from 'bun:test';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import { openPrivateMachine } from './private-machine.ts';

/** Mount namespaces need root. */
const rootTest = test.if(process.getuid?.() === 0);
const PROGRAM = '/usr/local/bin/pipeops-agent';

/** The script without the rest of the sources, but for what is put beside it. */
async function copyOf(script: string, installSh?: string) {
  const directory = await tempDirectory();
  const copy = join(directory.path, 'scripts/script.sh');
  await mkdir(join(directory.path, 'scripts'));
  await copyFile(script, copy);
  if (installSh !== undefined) {
    await writeFile(join(directory.path, 'install.sh'), installSh);
  }
  return { script: copy, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

describe.each([
  ['join-worker.sh', 'join'],
  ['uninstall.sh', 'uninstall'],
  ['cluster-info.sh', 'cluster-info'],
])('scripts/%s', (file, subcommand) => {
  const script = join(import.meta.dir, '../../scripts', file);

  rootTest(`runs "${subcommand}" with the same flags and standard input`, async () => {
    await using machine = await openPrivateMachine();
    const echo = '#!/bin/sh\nprintf "%s\\n" "$@"\ncat\nexit 42\n';
    await writeFile(machine.outside(PROGRAM), echo, { mode: 0o755 });
    const started = machine.start(['/bin/sh', script, '--token-file', 'a file'], {
      env: { PATH: '/usr/bin:/bin' },
      stdin: 'answer\n',
    });
    expect(await started.result).toEqual({
      exitCode: 42,
      stdout: `${subcommand}\n--token-file\na file\nanswer\n`,
      stderr: '',
    });
  });

  rootTest('says NOT_INSTALLED with a hint when the program is missing', async () => {
    await using machine = await openPrivateMachine();
    await using alone = await copyOf(script);
    const env = { PATH: '/usr/bin:/bin' };
    const { exitCode, stdout, stderr } = await machine.start(['/bin/sh', alone.script], {
      env,
      stdin: '',
    }).result;
    expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: '' });
    expect(stderr).toMatch(
      /^pipeops-agent: error: Cannot .* \[NOT_INSTALLED\]\npipeops-agent: hint: .*\n$/,
    );
  });

  test('is free of syntax errors', async () => {
    const check = Bun.spawnSync(['sh', '-n', script]);
    expect(check.stderr.toString()).toBe('');
    expect(await readFile(script, 'utf8')).toStartWith('#!/bin/sh\n');
  });
});

/** Tells what it was called with; the content of a file instead of its name. */
const TELL = `#!/bin/sh
for word; do if [ -f "$word" ]; then cat "$word"; else echo "$word"; fi; done
echo "$NODE_TYPE|$K3S_URL|$K3S_TOKEN"
exit 42
`;
const K3S_TOKEN = `K10${'0'.repeat(64)}::abcdef.0123456789abcdef`;

describe('scripts/join-worker.sh as it was known', () => {
  const script = join(import.meta.dir, '../../scripts/join-worker.sh');

  async function run(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
    await using machine = await openPrivateMachine();
    await writeFile(machine.outside(PROGRAM), TELL, { mode: 0o755 });
    const argv = ['/bin/sh', script, ...words];
    const variables = { PATH: '/usr/bin:/bin', NODE_TYPE: '', K3S_URL: '', K3S_TOKEN: '', ...env };
    return await machine.start(argv, { env: variables, stdin: '' }).result;
  }

  rootTest.each([
    ['10.0.0.1', 'https://10.0.0.1:6443'],
    ['server-1.internal', 'https://server-1.internal:6443'],
    ['10.0.0.1:6444', 'https://10.0.0.1:6444'],
    ['fd00::7', 'https://[fd00::7]:6443'],
  ])('takes the address of a server, %s, and its token', async (address, url) => {
    expect(await run([address, K3S_TOKEN])).toEqual({
      ...{ exitCode: 42, stderr: '' },
      stdout: `install\nagent|${url}|${K3S_TOKEN}\n`,
    });
  });

  rootTest('takes a join token in its place, and hands it over in a file', async () => {
    expect(await run(['10.0.0.1', 'pj1.abc.01234567'])).toEqual({
      ...{ exitCode: 42, stderr: '' },
      stdout: 'join\n--token-file\npj1.abc.01234567\n||\n',
    });
  });

  rootTest("takes k3s' variables without a word", async () => {
    const variables = { K3S_URL: 'https://10.0.0.1:6443', K3S_TOKEN };
    expect(await run([], variables)).toEqual({
      ...{ exitCode: 42, stderr: '' },
      stdout: `install\nagent|https://10.0.0.1:6443|${K3S_TOKEN}\n`,
    });
  });

  rootTest.each([
    [['10.0.0.1']],
    [['10.0.0.1', K3S_TOKEN, 'more']],
    [['https://10.0.0.1:6443', K3S_TOKEN]],
    [['a b', K3S_TOKEN]],
  ])('refuses %j, and says how it is called', async (words) => {
    const { exitCode, stdout, stderr } = await run(words);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain('[USAGE]\n');
    expect(stderr).toContain('join-worker.sh 10.0.0.1 TOKEN');
    expect(stderr).not.toContain(K3S_TOKEN);
  });

  rootTest('fetches the program with the install.sh of the same tree', async () => {
    await using machine = await openPrivateMachine();
    await using tree = await copyOf(script, TELL);
    const argv = ['/bin/sh', tree.script, '10.0.0.1', K3S_TOKEN];
    const ran = await machine.start(argv, { env: { PATH: '/usr/bin:/bin' }, stdin: '' }).result;
    expect(ran).toEqual({
      ...{ exitCode: 42, stderr: '' },
      stdout: `install\nagent|https://10.0.0.1:6443|${K3S_TOKEN}\n`,
    });
  });
});
