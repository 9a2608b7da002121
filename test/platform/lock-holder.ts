/**
 * What file-lock.test.ts kills: takes a lock, prints what came of it and holds it until its
 * standard input ends. Usage: bun lock-holder.ts <path> <holder>
 */
import { systemFileLock } from '../../src/platform/file-lock.ts';

const [path = '', holder = ''] = process.argv.slice(2);
const outcome = systemFileLock(path, holder);
process.stdout.write(`${'release' in outcome ? 'locked' : `held by ${outcome.heldBy}`}\n`);
await Bun.stdin.text();
if ('release' in outcome) {
  outcome.release();
}
