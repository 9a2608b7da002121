/** Verifies the bundle at its first argument, in a process whose memory a test measures. */
import { verifyBundle } from '../../../src/host/bundle/verify.ts';
import { systemFiles } from '../../../src/platform/files.ts';

const [path = ''] = process.argv.slice(2);
await verifyBundle(systemFiles('/'), path, () => undefined, new AbortController().signal);
