/** By what the package of the agent has come, over files and answers of the systems that have one. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { AgentError } from '../../../src/core/errors.ts';
import type { ExecResult } from '../../../src/core/ports.ts';
import { readAgentPackage } from '../../../src/host/facts/agent-package.ts';
import { factDeps } from '../../support/fact-deps.ts';
import { putTree } from '../../support/machine-tree.ts';
import { memoryDirectory, type TempDirectory } from '../../support/temp-dir.ts';

const PROGRAM = '/usr/bin/pipeops-agent';
const ASKED = {
  'dpkg-query': ['dpkg-query', '--search', PROGRAM],
  rpm: ['rpm', '--query', '--file', PROGRAM],
} as const;
type Database = keyof typeof ASKED;
type Answer = 'owns' | 'does not own' | 'hangs';

let root: TempDirectory;
beforeEach(async () => {
  root = await memoryDirectory();
});
afterEach(async () => await root[Symbol.asyncDispose]());

async function found(answers: Partial<Record<Database, Answer>>, ...programs: readonly string[]) {
  await putTree(root.path, Object.fromEntries(programs.map((path) => [path, ''])));
  const asked: (readonly string[])[] = [];
  const run = async (argv: readonly string[], { timeoutMs }: { timeoutMs: number }) => {
    asked.push(argv);
    expect(timeoutMs).toBe(2_000);
    const database = argv[0] as Database;
    expect(argv).toEqual(ASKED[database]);
    const answer = answers[database];
    if (answer === undefined || answer === 'hangs') {
      const code = answer === undefined ? 'TOOL_MISSING' : 'TIMEOUT';
      throw new AgentError(code, `${database} does not answer`, { hint: 'Look' });
    }
    const result: ExecResult = { exitCode: answer === 'owns' ? 0 : 1, stdout: '', stderr: '' };
    return result;
  };
  const tool = await readAgentPackage(factDeps(root.path, { exec: { run } }));
  return { tool, asked: asked.map(([database]) => database) };
}

test.each([
  ['apt-get', { 'dpkg-query': 'owns' }, []],
  ['dnf', { 'dpkg-query': 'does not own', rpm: 'owns' }, []],
  ['dnf', { rpm: 'owns' }, ['/usr/bin/dnf']],
  ['zypper', { rpm: 'owns' }, ['/usr/bin/zypper']],
  ['rpm-ostree', { rpm: 'owns' }, ['/usr/bin/dnf', '/usr/bin/rpm-ostree']],
  ['transactional-update', { rpm: 'owns' }, ['/usr/bin/zypper', '/usr/sbin/transactional-update']],
  [undefined, { 'dpkg-query': 'does not own', rpm: 'does not own' }, []],
  [undefined, { 'dpkg-query': 'hangs', rpm: 'hangs' }, []],
  [undefined, {}, []],
] as const)('%s, where dpkg and rpm say %j and there is %j', async (tool, answers, programs) => {
  expect((await found(answers, PROGRAM, ...programs)).tool).toBe(tool);
});

test('nobody is asked where there is no program in that place', async () => {
  expect(await found({ 'dpkg-query': 'owns' })).toEqual({ tool: undefined, asked: [] });
});
