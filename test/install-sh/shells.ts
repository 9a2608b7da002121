/** The shells that may be somebody's `sh`: dash on Debian, bash on RHEL, ash in small images. */

import { join } from 'node:path';

export const INSTALL_SH = join(import.meta.dir, '../../install.sh');

export interface Shell {
  readonly name: string;
  /** The program and its arguments, to be followed by those of a script. */
  readonly argv: readonly string[];
  /** When set, this program also serves as id, mv, sha256sum and so on. */
  readonly toolbox?: string;
}

/**
 * Those that are on this machine. BusyBox brings its own tools, so that the script meets both kinds.
 * @throws Error without dash, which every Debian and Ubuntu has
 */
export function findShells(): readonly Shell[] {
  const dash = Bun.which('dash');
  if (dash === null) {
    throw new Error('These tests need dash. Install it with: apt-get install dash');
  }
  const shells: Shell[] = [{ name: 'dash', argv: [dash] }];
  const bash = Bun.which('bash');
  if (bash !== null) {
    shells.push({ name: 'bash', argv: [bash, '--posix'] });
  }
  const busybox = Bun.which('busybox');
  if (busybox !== null) {
    shells.push({ name: 'busybox', argv: [busybox, 'sh'], toolbox: busybox });
  }
  return shells;
}
