/** A store that speaks S3 (test/peers/s3, in Go), in memory. */
import { join } from 'node:path';
import { Glob } from 'bun';
import type { ObjectStoreSettings } from '../../src/core/ports.ts';
import { buildOnce, contentHash } from '../vm/cache.ts';
import { runCommand } from '../vm/host-command.ts';

const SOURCES = join(import.meta.dir, '../peers/s3');
const BUILD_TIMEOUT_MS = 900_000;

export interface S3Peer extends AsyncDisposable {
  readonly settings: ObjectStoreSettings;
}

/** Builds the peer once for each state of its sources; the first build needs the Go module proxy. */
async function buildS3Peer(): Promise<string> {
  const names = [...new Glob('*.{go,mod,sum}').scanSync(SOURCES)].sort();
  const texts = await Promise.all(names.map((name) => Bun.file(join(SOURCES, name)).text()));
  const directory = await buildOnce(
    join('s3-peer', contentHash([...names, ...texts, process.arch])),
    async (output) => {
      await runCommand(['go', 'build', '-trimpath', '-o', join(output, 's3-peer'), '.'], {
        cwd: SOURCES,
        timeoutMs: BUILD_TIMEOUT_MS,
      });
    },
  );
  return join(directory, 's3-peer');
}

/** Starts it with one bucket. */
export async function startS3Peer(address = '127.0.0.1'): Promise<S3Peer> {
  const bucket = 'backups';
  const accessKeyId = 'the-access-key';
  const peer = Bun.spawn([await buildS3Peer(), address, bucket, accessKeyId], {
    stdout: 'pipe',
    stderr: 'ignore',
  });
  const reader = peer.stdout.getReader();
  const { value } = await reader.read();
  const endpoint = Buffer.from(value ?? [])
    .toString()
    .trim();
  return {
    settings: {
      endpoint,
      bucket,
      region: 'us-east-1',
      accessKeyId,
      secretAccessKey: 'the-secret-key',
    },
    [Symbol.asyncDispose]: async () => {
      peer.kill();
      await peer.exited;
    },
  };
}
