import { describe, expect, test } from 'bun:test';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openPrivateMachine } from './private-machine.ts';

/** Mount namespaces need root. */
const rootTest = test.if(process.getuid?.() === 0);
const PROGRAM = '/usr/local/bin/pipeops-agent';

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
    const env = { PATH: '/usr/bin:/bin' };
    const { exitCode, stdout, stderr } = await machine.start(['/bin/sh', script], {
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
