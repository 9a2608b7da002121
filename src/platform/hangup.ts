import { readFileSync } from 'node:fs';

/** SIGHUP in the hexadecimal masks of signals (proc(5), "SigIgn"): the lowest bit. */
const IGNORED = /^SigIgn:\s*[0-9a-f]*[13579bdf]$/m;

/** Whether who has started this process wants it to outlive the terminal: nohup(1), `trap '' HUP`. */
export function isHangupIgnored(): boolean {
  try {
    return IGNORED.test(readFileSync('/proc/self/status', 'utf8'));
  } catch {
    return false; // No /proc, as in a container that is built.
  }
}
