/** A CA file that is missing, or none: the daemon trusts nobody, says why, and takes up a good one. */
import { afterEach, expect, test } from 'bun:test';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readCaFile } from '../../src/control-plane/credentials/ca-file.ts';
import { unusableNetwork } from '../../src/daemon/unusable-network.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { makeCertificates } from '../support/tls.ts';

const directory = await tempDirectory();
const files = systemFiles('/');
const path = join(directory.path, 'ca.pem');
afterEach(async () => await rm(path, { force: true }));

test.each([
  ['is missing', undefined, `there is no file ${path}`],
  ['holds no certificate', 'secret', `there is no certificate (PEM) in ${path}`],
  [
    'holds what is none',
    '-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n',
    `there is no certificate (PEM) in ${path}`,
  ],
])('a file that %s is told', async (_, text, problem) => {
  if (text !== undefined) {
    await writeFile(path, text);
  }
  expect(await readCaFile(files, path)).toEqual({ problem });
});

test('a file with certificates is read as it is', async () => {
  const { ca } = await makeCertificates(['127.0.0.1']);
  await writeFile(path, `# ours\n${ca}${ca}`);
  expect(await readCaFile(files, path)).toEqual({ pem: `# ours\n${ca}${ca}` });
});

test('while it cannot be used nobody is reached, and both ways say why', async () => {
  const network = unusableNetwork('there is no file');
  const unreachable = { kind: 'ca', why: 'there is no file', ownCa: true, proxy: '' } as const;
  await expect(network.http('https://cp.test/')).rejects.toMatchObject({ trouble: unreachable });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  network.dial(
    'wss://cp.test/',
    { headers: {}, messageLimitBytes: 1 },
    {
      opened: () => resolve('open'),
      message: () => undefined,
      heard: () => undefined,
      closed: resolve,
    },
  );
  expect(await promise).toEqual({ code: 1006, reason: 'there is no file', unreachable });
});
