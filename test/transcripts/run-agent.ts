import { join } from 'node:path';

export const EXECUTABLE = join(import.meta.dir, `../../dist/pipeops-agent-linux-${process.arch}`);

export interface Transcript {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the compiled executable, with nothing of this process in its environment. */
export async function runAgent(
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly stdin?: string;
    /** Somebody who is not root. */
    readonly asNobody?: boolean;
  } = {},
): Promise<Transcript> {
  const asNobody = ['setpriv', '--reuid=65534', '--clear-groups'];
  const child = Bun.spawn([...(options.asNobody ? asNobody : []), EXECUTABLE, ...args], {
    cwd: options.cwd ?? '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...options.env },
    stdin: Buffer.from(options.stdin ?? ''),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}
