import { describe, expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { sampled } from '../support/sampled.ts';
import { findShells, INSTALL_SH, type Shell } from './shells.ts';

const TEST_TIMEOUT_MS = 900_000;
/** Every cut within the last bytes is tried, and so many before them; in `long` every one. */
const LAST_BYTES = 300;
const SAMPLED = 280;
/** What dash, bash and BusyBox say about a script that ends too early. All of them exit with 2. */
const SYNTAX_ERROR = /syntax error|unterminated quoted string|unexpected (EOF|end of file)/i;

const script = await readFile(INSTALL_SH);

describe.each([...findShells()])('install.sh in $name', (shell) => {
  test('is free of syntax errors', () => {
    const check = Bun.spawnSync([...shell.argv, '-n', INSTALL_SH]);
    expect({ exitCode: check.exitCode, stderr: check.stderr.toString() }).toEqual({
      exitCode: 0,
      stderr: '',
    });
  });

  test(
    'does nothing when the download broke off',
    () => {
      const harmful = cuts(script.length)
        .map((length) => ({ length, ...runWithoutTools(shell, script.subarray(0, length)) }))
        .filter(({ exitCode, output }) => !didNothing(exitCode, output));
      expect(harmful).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  test('does something when it is complete', () => {
    const { exitCode, output } = runWithoutTools(shell, script);
    expect(didNothing(exitCode, output)).toBe(false);
    expect(output).toContain('pipeops-agent: error: ');
  });
});

/** Lengths of cut-off scripts. Without only the newline at its end a script is complete. */
function cuts(length: number): readonly number[] {
  const all = Array.from({ length: length - 1 }, (_, bytes) => bytes);
  return [...sampled(all.slice(0, -LAST_BYTES), SAMPLED), ...all.slice(-LAST_BYTES)];
}

/**
 * Nothing is on the PATH: whatever the script tries to call shows up as "not found". BusyBox has its
 * own tools all the same, but nothing to download with.
 */
function runWithoutTools(shell: Shell, text: Uint8Array): { exitCode: number; output: string } {
  const run = Bun.spawnSync([...shell.argv, '-s', '--', '--flag'], {
    stdin: text,
    env: { PATH: '/nonexistent' },
  });
  return { exitCode: run.exitCode, output: `${run.stdout}${run.stderr}` };
}

function didNothing(exitCode: number, output: string): boolean {
  return (exitCode === 0 && output === '') || (exitCode === 2 && SYNTAX_ERROR.test(output));
}
