import { expect, test } from 'bun:test';
import { join } from 'node:path';

const MODULE = join(import.meta.dir, '../../src/platform/before-program.ts');
const TELL = `console.log(await (await import('${MODULE}')).msBeforeProgram())`;

test('what a shell did before it became the program is told, and no more', async () => {
  const told = async (script: string) => {
    const argv = ['sh', '-c', `${script}exec "$0" -e "$1"`, process.execPath, TELL];
    return Number(await new Response(Bun.spawn(argv).stdout).text());
  };
  const [direct, after] = await Promise.all([told(''), told('sleep 3; ')]);
  expect(after).toBeGreaterThanOrEqual(2_900); // The kernel counts in hundredths.
  expect(after - direct).toBeGreaterThan(direct);
});
