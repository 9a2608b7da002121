/** Prometheus and promtool, from their Debian package: unpacked, not installed, so that no service starts. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce } from '../cache.ts';
import { runCommand } from '../host-command.ts';
import { aptEnvironment } from '../packages.ts';

const FETCH_TIMEOUT_MS = 120_000;

/** @returns the directory with both programs; fetched once, from the package archive of the host */
export function prometheusTools(): Promise<string> {
  return buildOnce('prometheus', async (directory) => {
    const options = { cwd: directory, timeoutMs: FETCH_TIMEOUT_MS, env: aptEnvironment() };
    await runCommand(['apt-get', 'download', 'prometheus'], options);
    await runCommand(['sh', '-c', 'dpkg-deb -x prometheus_*.deb package && rm *.deb'], options);
    for (const name of ['prometheus', 'promtool']) {
      await rename(join(directory, 'package/usr/bin', name), join(directory, name));
    }
    await runCommand(['rm', '-r', 'package'], options);
  });
}
