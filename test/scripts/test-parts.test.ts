/** What `scripts/test.ts` answers to a part that it has not. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';

const SCRIPT = join(import.meta.dir, '../../scripts/test.ts');

test.each(['sesion', 'constructor', ''])(
  'the part "%s" is an error that names the parts',
  async (part) => {
    const child = Bun.spawn([process.execPath, SCRIPT, part], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    expect({ exitCode, stdout, stderr }).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `There is no part "${part}": unit, cli, vm, all, long\n`,
    });
  },
);
