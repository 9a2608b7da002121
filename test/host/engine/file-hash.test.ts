import { expect, test } from 'bun:test';
import { hashOfFile } from '../../../src/host/engine/file-hash.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { failureOf } from '../../support/failure-of.ts';
import { tempDirectory } from '../../support/temp-dir.ts';

test('whoever interrupts the hashing of a large file is told so, and what to do', async () => {
  await using here = await tempDirectory();
  const files = systemFiles('/');
  const path = `${here.path}/k3s`;
  await files.writeAtomic(path, 'the program', { mode: 0o600 });
  expect(await failureOf(() => hashOfFile(files, path, AbortSignal.abort()))).toMatchObject({
    code: 'INTERRUPTED',
    message: `Interrupted while reading ${path}`,
    hint: 'Run the same command again: it goes on where it ended',
  });
});
