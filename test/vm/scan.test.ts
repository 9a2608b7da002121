/** The scans of the pipelines, by the tools that they use. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from './host-command.ts';

const ROOT = join(import.meta.dir, '../..');
const TIMEOUT_MS = 600_000;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'scan-test-'));
});

afterAll(async () => await rm(scratch, { recursive: true }));

async function scan(args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const argv = [process.execPath, 'scripts/scan.ts', ...args];
  const env = { ...process.env, ...more } as Record<string, string>;
  return await runCommand(argv, { cwd: ROOT, timeoutMs: TIMEOUT_MS, env, check: false });
}

test('the project has no secrets in its files, and its pipelines no faults', async () => {
  expect(await scan(['secrets'])).toMatchObject({ exitCode: 0 });
  expect(await scan(['workflows'])).toMatchObject({ exitCode: 0, stdout: '' });
});

test('a key that somebody forgot is found, and not shown whole', async () => {
  const key = ['gh', 'p_', 'wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx'].join('');
  await Bun.write(join(scratch, 'forgotten/config.ts'), `const token = '${key}';\n`);
  const { exitCode, stdout } = await scan(['secrets', join(scratch, 'forgotten')]);
  expect({ exitCode, shown: stdout.includes(key), rule: stdout.includes('github-pat') }).toEqual({
    exitCode: 1,
    shown: false,
    rule: true,
  });
});

test('a package with a serious hole is found, by what the registry says of it', async () => {
  const hole = {
    id: 1,
    url: 'https://advisories.example/1',
    title: 'reads too much',
    severity: 'high',
    vulnerable_versions: '<999',
  };
  let advisories: object = { zod: [hole] };
  await using registry = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => Response.json(advisories),
  });
  const env = { NPM_CONFIG_REGISTRY: registry.url.href };
  const found = await scan(['dependencies'], env);
  expect({ code: found.exitCode, told: found.stdout.includes('reads too much') }).toEqual({
    code: 1,
    told: true,
  });
  advisories = { zod: [{ ...hole, severity: 'low' }] };
  expect((await scan(['dependencies'], env)).exitCode).toBe(0);
});
