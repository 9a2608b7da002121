/** The user-data of docs/INSTALL.md: cloud-init takes it, and we take what it runs. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { installSubcommand } from '../../src/cli/subcommands/install.ts';
import { joinSubcommand } from '../../src/cli/subcommands/join.ts';
import { userDataProblems } from '../support/cloud-init-schema.ts';

const FETCH_TIMEOUT_MS = 180_000;

async function examples(): Promise<readonly string[]> {
  const page = await Bun.file(join(import.meta.dir, '../../docs/INSTALL.md')).text();
  return [...page.matchAll(/^```yaml\n(#cloud-config\n[^`]*)```$/gm)].map(([, text = '']) => text);
}

test(
  'cloud-init takes every example',
  async () => {
    const all = await examples();
    expect(all.length).toBeGreaterThanOrEqual(2);
    for (const text of all) {
      expect(await userDataProblems(text)).toEqual([]);
    }
  },
  FETCH_TIMEOUT_MS,
);

test.each([
  ['runcmd: yes please', 'runcmd'],
  ['write_files: [{pth: /root/token}]', 'write_files'],
  ['run_cmd: [ls]', 'run_cmd: cloud-init knows no such key'],
])(
  'cloud-init does not take %p',
  async (text, problem) => {
    expect((await userDataProblems(text)).join('\n')).toContain(problem);
  },
  FETCH_TIMEOUT_MS,
);

test('every flag of the examples exists', async () => {
  for (const text of await examples()) {
    const line = /install\.sh \|\s+sh -s -- ([\s\S]*?)\n {2}- /.exec(text)?.[1] ?? '';
    const known = line.startsWith('join ') ? joinSubcommand.flags : installSubcommand.flags;
    const flags = [...line.matchAll(/--([a-z-]+)/g)].map(([, flag = '']) => flag);
    expect(flags.length).toBeGreaterThan(0);
    expect(flags.filter((flag) => !Object.hasOwn(known, flag))).toEqual([]);
  }
});
