/**
 * What files-content.test.ts runs on a disk of 64 KiB: writes more than there is room for and prints what
 * came of it as JSON. Usage: bun full-disk.ts <directory on that disk>
 */
import { toAgentError } from '../../src/core/errors.ts';
import { systemFiles } from '../../src/platform/files.ts';

const files = systemFiles(process.argv[2] ?? '');
await files.writeAtomic('/file', 'old', { mode: 0o600 });
try {
  await files.writeAtomic('/file', 'x'.repeat(100_000), { mode: 0o600 });
} catch (thrown) {
  const { code, message, hint } = toAgentError(thrown);
  const text = await files.readText('/file');
  process.stdout.write(JSON.stringify({ code, message, hint, names: await files.list('/'), text }));
}
