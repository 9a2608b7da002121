import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until.ts';
import { EXECUTABLE } from './run-agent.ts';

export interface RunningDaemon extends AsyncDisposable {
  /** Of its HTTP server on 127.0.0.1. */
  readonly port: number;
  /** All that it has written so far, both streams. */
  output(): string;
}

export interface DaemonOptions {
  /** YAML of the configuration, without `http`. */
  readonly config: string;
  readonly controlPlaneToken?: string;
  readonly kubeconfig?: string;
  /** Beside what systemd gives it; nothing of this process is in it. */
  readonly env: Readonly<Record<string, string>>;
}

/** Runs the compiled daemon in a directory of its own, and waits until it answers. */
export async function runDaemon(options: DaemonOptions): Promise<RunningDaemon> {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-daemon-'));
  const port = freePort();
  const config = join(directory, 'config.yaml');
  await Bun.write(config, `${options.config}\nhttp: {port: ${port}, tls_port: 0}\n`);
  if (options.controlPlaneToken !== undefined) {
    await Bun.write(join(directory, 'credentials/control-plane-token'), options.controlPlaneToken);
  }
  if (options.kubeconfig !== undefined) {
    await Bun.write(join(directory, 'kubeconfig'), options.kubeconfig);
  }
  const child = Bun.spawn([EXECUTABLE, 'run', '--config', config], {
    cwd: '/',
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      STATE_DIRECTORY: directory,
      RUNTIME_DIRECTORY: directory,
      ...options.env,
    },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  let output = '';
  const reading = [child.stdout, child.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      output += text;
    }
  });
  const stop = async () => {
    child.kill();
    await child.exited;
    await Promise.all(reading);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await until('the daemon answers', async () => {
      if (child.exitCode !== null) {
        throw new Error(`The daemon ended with ${child.exitCode}: ${output}`);
      }
      return await answers(port);
    });
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return { port, output: () => output, [Symbol.asyncDispose]: stop };
}

/** Whether its HTTP server answers; not yet when nobody takes the connection. */
async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/health`)).ok;
  } catch {
    return false;
  }
}

function freePort(): number {
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { data: () => undefined },
  });
  const { port } = listener;
  listener.stop(true);
  return port;
}
