import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { textOutput } from '../../../src/cli/terminal/text-output.ts';
import { failureOf } from '../../support/failure-of.ts';
import { tempDirectory } from '../../support/temp-dir.ts';

const LINES = 1_000;
const LINE = `${'x'.repeat(999)}\n`;

const WRITER = `
  import { textOutput } from '${join(import.meta.dir, '../../../src/cli/terminal/text-output.ts')}';
  const output = textOutput(Bun.stdout, 'standard output');
  for (let line = 0; line < ${LINES}; line += 1) {
    output.write('${LINE.trim()}\\n');
  }
  process.stderr.write('written\\n');
  await output.flush();
  process.exit(0);
`;

test('a slow reader gets all of a text that is longer than its pipe', async () => {
  const child = Bun.spawn([process.execPath, '-e', WRITER], { stdout: 'pipe', stderr: 'pipe' });
  // Nothing is read before all was written, and most of it still waits in the process.
  const written = child.stderr.getReader();
  await written.read();
  expect(await child.stdout.text()).toBe(LINE.repeat(LINES));
  expect(await child.exited).toBe(0);
});

test('a reader that has seen enough is no failure', async () => {
  const child = Bun.spawn(
    ['sh', '-c', '"$1" -e "$2" | head -c 3', 'sh', process.execPath, WRITER],
    {
      stdout: 'pipe',
      stderr: 'pipe',
    },
  );
  expect(await child.stdout.text()).toBe('xxx');
  expect(await child.stderr.text()).toBe('written\n');
});

test('a terminal that has gone away is no failure either, and nothing is said of it', async () => {
  await using directory = await tempDirectory();
  const told = join(directory.path, 'stderr');
  const shown = Promise.withResolvers<void>();
  // It begins when its terminal is gone: `cat` ends by that.
  const script = 'trap "" HUP; echo shown; cat; exec "$1" -e "$2" 2>"$3"';
  const child = Bun.spawn(['sh', '-c', script, 'sh', process.execPath, WRITER, told], {
    terminal: { data: () => shown.resolve() },
  });
  await shown.promise;
  child.terminal?.close();
  expect(await child.exited).toBe(0);
  expect(await Bun.file(told).text()).toBe('written\n');
});

test('text that could not be written is a failure, told once all was tried', async () => {
  const output = textOutput(Bun.file('/dev/full'), 'standard output');
  output.write('one\n');
  output.write('two\n');
  expect(await failureOf(() => output.flush())).toMatchObject({
    code: 'FILE_ACCESS',
    message: 'Cannot write to standard output: no space left on the disk',
  });
});
