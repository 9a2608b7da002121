/**
 * Verifies the bundle at its first argument, and prints the most memory that this process had: that of
 * getrusage(2) would be its parent's, where that had more when it started this one.
 */
import { verifyBundle } from '../../../src/host/bundle/verify.ts';
import { systemFiles } from '../../../src/platform/files.ts';

const [path = ''] = process.argv.slice(2);
await verifyBundle(systemFiles('/'), path, () => undefined, new AbortController().signal);
const status = await Bun.file('/proc/self/status').text();
process.stdout.write(`${Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024}\n`);
