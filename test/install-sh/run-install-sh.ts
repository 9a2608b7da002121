import { readFile } from 'node:fs/promises';
import type { PrivateMachine, ProgramResult, StartedProgram } from './private-machine.ts';
import { INSTALL_SH, type Shell } from './shells.ts';
import type { Tools } from './tools.ts';

export interface InstallRun {
  readonly machine: PrivateMachine;
  readonly shell: Shell;
  readonly tools: Tools;
  readonly flags?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** install.sh as a release has it; that of the sources, without keys, when absent. */
  readonly script?: string;
}

/** The same as `curl … | sh -s -- [flags]`: the script comes on standard input. */
export async function startInstallSh(run: InstallRun): Promise<StartedProgram> {
  return run.machine.start([...run.shell.argv, '-s', '--', ...(run.flags ?? [])], {
    env: { PATH: run.tools.path, ...run.env },
    stdin: run.script ?? (await readFile(INSTALL_SH, 'utf8')),
  });
}

export async function runInstallSh(run: InstallRun): Promise<ProgramResult> {
  return (await startInstallSh(run)).result;
}
