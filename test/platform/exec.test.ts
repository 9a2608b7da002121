import { describe, expect, test } from 'bun:test';
import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from '../../src/core/errors.ts';
import type { ExecOptions } from '../../src/core/ports.ts';
import { toolPath } from '../../src/core/tool-path.ts';
import { EXEC_OUTPUT_LIMIT_BYTES, systemExec } from '../../src/platform/exec.ts';
import { lazyExec } from '../../src/platform/lazy-exec.ts';
import { failureOf } from '../support/failure-of.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';

const ENV = { PATH: process.env['PATH'], HOME: '/root', LANG: 'C.UTF-8', SECRET: 'hunter2' };
const TIMEOUT_MS = 4_000;
/** Short, for programs that never end by themselves. */
const SHORT_MS = 400;
/** Seconds, longer than any test: what still runs then was not ended. */
const ENDLESS = '60';

function run(argv: readonly [string, ...string[]], options: Partial<ExecOptions> = {}) {
  return systemExec({ env: ENV }).run(argv, { timeoutMs: TIMEOUT_MS, ...options });
}

/** Whether a process runs; one that has ended and waits for its parent does not. */
async function isRunning(pid: string): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return !/\) [ZX] /.test(stat);
  } catch {
    return false; // The directory went with the process.
  }
}

async function untilEnded(pid: string): Promise<void> {
  await until(`process ${pid} has ended`, async () => !(await isRunning(pid)));
}

describe('systemExec() and a program that ends by itself', () => {
  test('gives exit code and both streams without their last newline', async () => {
    expect(await run(['sh', '-c', 'printf "a\\n\\nb\\n"; echo problem >&2; exit 3'])).toEqual({
      exitCode: 3,
      stdout: 'a\n\nb',
      stderr: 'problem',
    });
  });

  test('hands each argument over as it is, with no shell between', async () => {
    const args = ['$HOME', '; exit 1', 'two words', '', '"', '*'];
    const { stdout } = await run(['printf', '%s\\n', ...args]);
    expect(stdout.split('\n')).toEqual(args);
  });

  test('inherits nothing of the environment but what every program needs', async () => {
    const { stdout } = await run(['env'], { env: { K3S_SETTING: 'x' } });
    expect(stdout.split('\n').sort()).toEqual([
      'HOME=/root',
      'K3S_SETTING=x',
      'LANG=C.UTF-8',
      `PATH=${toolPath(ENV.PATH).join(':')}`,
    ]);
  });

  test('lets the environment that is given win over the inherited one', async () => {
    const { stdout } = await run(['sh', '-c', 'echo "$HOME"'], { env: { HOME: '/elsewhere' } });
    expect(stdout).toBe('/elsewhere');
  });

  test('hands a secret over by standard input', async () => {
    expect(await run(['cat'], { stdin: 'secret\n' })).toEqual({
      exitCode: 0,
      stdout: 'secret',
      stderr: '',
    });
  });

  test('gives an empty standard input when there is none', async () => {
    expect((await run(['cat'])).stdout).toBe('');
  });

  test('is not troubled by a program that does not read its input', async () => {
    expect((await run(['true'], { stdin: 'x'.repeat(1_000_000) })).exitCode).toBe(0);
  });

  test('tells each line of both streams as it comes', async () => {
    const lines: string[] = [];
    const script = 'echo one; echo two >&2; printf "three\\nfour"';
    const result = await run(['sh', '-c', script], { onLine: (line) => lines.push(line) });

    expect(lines.toSorted()).toEqual(['four', 'one', 'three', 'two']);
    expect(lines.filter((line) => line !== 'two')).toEqual(['one', 'three', 'four']);
    expect(result).toEqual({ exitCode: 0, stdout: 'one\nthree\nfour', stderr: 'two' });
  });

  test('hands over more than it would keep, no faster than it is taken', async () => {
    let [bytes, atOnce, most] = [0, 0, 0];
    const script = `yes ${'x'.repeat(9_999)} | head -n 1000`;
    const result = await run(['sh', '-c', script], {
      timeoutMs: 60_000,
      keepsOutput: false,
      onLine: async (line) => {
        atOnce += 1;
        most = Math.max(most, atOnce);
        await Promise.resolve();
        bytes += line.length + 1;
        atOnce -= 1;
      },
    });
    expect({ bytes, most, result }).toEqual({
      bytes: 10_000_000,
      most: 1,
      result: { exitCode: 0, stdout: '', stderr: '' },
    });
  });

  test('tells a line while the program still runs', async () => {
    await using directory = await tempDirectory();
    const marker = join(directory.path, 'seen');
    const script = `echo ready; while ! test -e "${marker}"; do sleep 0.01; done; echo over`;
    const result = await run(['sh', '-c', script], {
      onLine: (line) => {
        if (line === 'ready') {
          void Bun.write(marker, '');
        }
      },
    });
    expect(result.stdout).toBe('ready\nover');
  });
});

describe('systemExec() and a program that does not end by itself', () => {
  test('gives TIMEOUT with its last words', async () => {
    const error = await failureOf(() =>
      run(['sh', '-c', `echo starting; echo waiting for disk >&2; sleep ${ENDLESS}`], {
        timeoutMs: SHORT_MS,
      }),
    );
    const { code, message, hint } = error;
    expect({ code, message, hint }).toEqual({
      code: 'TIMEOUT',
      message: '"sh" did not finish in 400 ms',
      hint: 'Look at what holds it up: waiting for disk',
    });
  });

  test('ends all its descendants at the timeout', async () => {
    const pids: string[] = [];
    const script = `sleep ${ENDLESS} & echo $!; sh -c 'sleep ${ENDLESS} & echo $!; wait' & echo $!; wait`;
    const error = await failureOf(() =>
      run(['sh', '-c', script], { timeoutMs: SHORT_MS, onLine: (line) => pids.push(line) }),
    );
    expect({ code: error.code, descendants: pids.length }).toEqual({
      code: 'TIMEOUT',
      descendants: 3,
    });
    await Promise.all(pids.map(untilEnded));
  });

  test('ends what a program left behind that holds its output open', async () => {
    const pids: string[] = [];
    const error = await failureOf(() =>
      run(['sh', '-c', `sleep ${ENDLESS} & echo $!`], {
        timeoutMs: SHORT_MS,
        onLine: (line) => pids.push(line),
      }),
    );
    expect({ code: error.code, descendants: pids.length }).toEqual({
      code: 'TIMEOUT',
      descendants: 1,
    });
    await Promise.all(pids.map(untilEnded));
  });

  test('kills a program that ignores SIGTERM', async () => {
    const pids: string[] = [];
    const script = "trap '' TERM; echo $$; while :; do sleep 0.05; done";
    const error = await failureOf(() =>
      run(['sh', '-c', script], { timeoutMs: SHORT_MS, onLine: (line) => pids.push(line) }),
    );
    expect({ code: error.code, descendants: pids.length }).toEqual({
      code: 'TIMEOUT',
      descendants: 1,
    });
    await Promise.all(pids.map(untilEnded));
  });

  test('does not wait for a descendant that fled into a session of its own', async () => {
    const pids: string[] = [];
    const script = `setsid sh -c 'echo $$; exec sleep ${ENDLESS}' & sleep ${ENDLESS}`;
    const error = await failureOf(() =>
      run(['sh', '-c', script], { timeoutMs: SHORT_MS, onLine: (line) => pids.push(line) }),
    );
    for (const pid of pids) {
      process.kill(Number(pid), 'SIGKILL');
    }
    expect({ code: error.code, fled: pids.length }).toEqual({ code: 'TIMEOUT', fled: 1 });
  });

  test('gives INTERRUPTED and ends it at the signal', async () => {
    const controller = new AbortController();
    const pids: string[] = [];
    const error = await failureOf(() =>
      run(['sh', '-c', `echo $$; sleep ${ENDLESS}`], {
        signal: controller.signal,
        onLine: (line) => {
          pids.push(line);
          controller.abort();
        },
      }),
    );
    expect({ code: error.code, message: error.message, programs: pids.length }).toEqual({
      code: 'INTERRUPTED',
      message: '"sh" was ended because the work was interrupted',
      programs: 1,
    });
    await Promise.all(pids.map(untilEnded));
  });

  test('fails at once when the one who reads the lines does', async () => {
    const broken = new AgentError('BUSY', 'Cannot take this line', { hint: 'Look' });
    const reading = run(['sh', '-c', `echo line; sleep ${ENDLESS}`], {
      timeoutMs: SHORT_MS,
      onLine: () => {
        throw broken;
      },
    });
    expect(await failureOf(() => reading)).toBe(broken);
  });

  test('gives INTERRUPTED when the signal came before', async () => {
    const error = await failureOf(() => run(['sleep', ENDLESS], { signal: AbortSignal.abort() }));
    expect(error.code).toBe('INTERRUPTED');
  });

  test.each([
    ['prints too much', `yes | head -c ${EXEC_OUTPUT_LIMIT_BYTES * 2}`, 'it printed too much'],
    ['prints for ever', 'yes', 'it printed too much'],
    ['is killed', 'kill -9 $$', 'signal SIGKILL'],
  ])('gives TOOL_FAILED when it %s', async (_, script, why) => {
    const error = await failureOf(() => run(['sh', '-c', script]));
    expect({ code: error.code, message: error.message }).toEqual({
      code: 'TOOL_FAILED',
      message: `"sh" was ended: ${why}`,
    });
  });
});

describe('systemExec() and a program that cannot be run', () => {
  test('finds the tools of root although PATH lacks their directory', async () => {
    const poor = systemExec({ env: { PATH: '/usr/bin:/bin' } });
    const result = await poor.run(['useradd', '--help'], { timeoutMs: 10_000 });
    expect(result).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('--system') });
  });

  test('gives TOOL_MISSING with what to do for a name that is not in PATH', async () => {
    const { code, message, hint, details } = await failureOf(() =>
      run(['no-such-program', '--flag']),
    );
    expect({ code, message, hint, details }).toEqual({
      code: 'TOOL_MISSING',
      message: 'Cannot run "no-such-program": it is not on this machine',
      hint: 'Install "no-such-program" or put it into PATH',
      details: { argv: ['no-such-program', '--flag'] },
    });
  });

  test('gives TOOL_MISSING for a file that may not be run', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'tool');
    await Bun.write(path, '#!/bin/sh\n');
    await chmod(path, 0o644);
    const { code, message } = await failureOf(() => run([path]));
    expect({ code, message }).toEqual({
      code: 'TOOL_MISSING',
      message: `Cannot run "${path}": it may not be run`,
    });
  });
});

describe('lazyExec()', () => {
  test('runs programs like the one it loads', async () => {
    const exec = lazyExec({ env: ENV });
    expect(await exec.run(['sh', '-c', 'echo "$HOME"'], { timeoutMs: TIMEOUT_MS })).toEqual({
      exitCode: 0,
      stdout: '/root',
      stderr: '',
    });
  });
});
