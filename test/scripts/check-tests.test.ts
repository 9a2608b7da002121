import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { readTests, testProblems } from '../../scripts/check-tests.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const ROOT = join(import.meta.dir, '../..');

test('no test waits for time but where time is what it is about', async () => {
  expect(testProblems(await readTests(ROOT))).toEqual([]);
});

test.each([
  'await Bun.sleep(5);',
  'Bun.sleepSync(5);',
  'setTimeout(done, 5);',
  'await new Promise((resolve) => setTimeout(resolve, 5));',
  "import { setTimeout as sleep } from 'node:timers/promises';",
  'const timer = setInterval(look, 5);',
])('it finds %s', (line) => {
  expect(
    testProblems([{ path: 'test/a.test.ts', text: `\n${line}\n// Bun.sleep(1)` }], {}),
  ).toEqual([
    'test/a.test.ts: 1 waits for time (line 2), 0 allowed: wait for a condition with ' +
      'test/support/until.ts, or say in scripts/check-tests.ts why not',
  ]);
});

test('a place on the list that is not needed any more is named', () => {
  const files = [{ path: 'test/a.test.ts', text: '' }];
  const allowed = { 'test/a.test.ts': { times: 1, why: 'a limit' } };
  expect(testProblems(files, allowed)).toHaveLength(1);
});

test.each([
  ['expects nothing', 'await undefined;', 1],
  ['expects something', 'await undefined; expect(1).toBe(1);', 0],
])('a test that %s ends so', async (_, body, exitCode) => {
  await using directory = await tempDirectory();
  const file = join(directory.path, 'some.test.ts');
  await Bun.write(
    file,
    `import { expect, test } from 'bun:test';\ntest('it', async () => { ${body} });\nvoid expect;\n`,
  );
  const child = Bun.spawn([process.execPath, 'test', file], {
    cwd: ROOT,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const said = await new Response(child.stderr).text();
  expect([await child.exited, said.includes('received 0 assertions')]).toEqual([
    exitCode,
    exitCode === 1,
  ]);
});
