/** A proxy as companies have it: tinyproxy, from Debian, with a password. Needs root. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitUntil } from '../vm/wait-until.ts';

const PORT = 8888;
const START_TIMEOUT_MS = 10_000;
const USER = 'agent';
/** In tinyproxy's file a password has letters, digits and these. */
const PASSWORD = 'p.ss-word_1';

export interface Tinyproxy extends AsyncDisposable {
  /** With user and password; some characters are encoded, and the proxy only knows what they mean. */
  readonly address: string;
  readonly port: number;
  /** What it was asked to connect to, `host:port`, also by clients that it refused. */
  readonly targets: () => Promise<readonly string[]>;
}

/** @param hostname an address of a lab, where nothing else listens on its port */
export async function startTinyproxy(hostname: string): Promise<Tinyproxy> {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-tinyproxy-'));
  const log = join(directory, 'log');
  const configuration = [
    `Listen ${hostname}`,
    `Port ${PORT}`,
    `BasicAuth ${USER} ${PASSWORD}`,
    `LogFile "${log}"`,
    'LogLevel Connect',
  ];
  const file = join(directory, 'tinyproxy.conf');
  await Bun.write(file, `${configuration.join('\n')}\n`);
  const child = Bun.spawn(['tinyproxy', '-d', '-c', file], { stdout: 'ignore', stderr: 'ignore' });
  const stop = async () => {
    child.kill();
    await child.exited;
    await rm(directory, { recursive: true });
  };
  try {
    await waitUntil('tinyproxy answers', START_TIMEOUT_MS, async () => {
      const response = await fetch(`http://${hostname}:${PORT}/`);
      return response.status === 407 || response.status === 401;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  const encoded = PASSWORD.replace('.', '%2E').replace('-', '%2D');
  return {
    address: `http://${USER}:${encoded}@${hostname}:${PORT}`,
    port: PORT,
    targets: async () =>
      [...(await readFile(log, 'utf8')).matchAll(/: CONNECT (\S+) HTTP/g)].map(
        ([, target = '']) => target,
      ),
    [Symbol.asyncDispose]: stop,
  };
}
