/** The Debian packages that the host needs to make and run test machines. */

import { runCommand } from './host-command.ts';

const APT_TIMEOUT_MS = 300_000;

export const HOST_PACKAGES: readonly string[] = [
  'busybox-static',
  'chromium', // the page is looked at with it
  'debian-archive-keyring', // Ubuntu's debootstrap cannot check Debian's signatures without it
  'debootstrap',
  'fish', // its completion is tried
  'iproute2',
  'rpm', // its package is tried
  'systemd-container',
  'tar',
  'tinyproxy-bin', // a machine's only way out; without the service
  'util-linux',
  'xz-utils', // a release is packed with it, and with zstd
  'zsh', // its completion is tried
  'zstd',
];

/** Installs what is missing, and does nothing else. Needs root. */
export async function installHostPackages(): Promise<void> {
  const missing = await missingPackages(HOST_PACKAGES);
  if (missing.length === 0) {
    return;
  }
  const install = ['apt-get', 'install', '--yes', '--no-install-recommends', ...missing];
  const options = { timeoutMs: APT_TIMEOUT_MS, env: aptEnvironment() };
  const first = await runCommand(install, { ...options, check: false });
  if (first.exitCode !== 0) {
    // The package lists may be absent (a fresh image) or older than the archive.
    await runCommand(['apt-get', 'update'], options);
    await runCommand(install, options);
  }
}

/** Ours, so that a proxy is kept, but without questions. */
export function aptEnvironment(): Record<string, string> {
  const env: Record<string, string> = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && /^(PATH|HOME|(https?|no)_proxy)$/i.test(name)) {
      env[name] = value;
    }
  }
  return env;
}

async function missingPackages(names: readonly string[]): Promise<readonly string[]> {
  const format = `--showformat=\${Package} \${db:Status-Status}\n`;
  const { stdout } = await runCommand(['dpkg-query', '--show', format, ...names], { check: false });
  const installed = new Set(
    stdout.split('\n').flatMap((line) => (line.endsWith(' installed') ? [line.split(' ')[0]] : [])),
  );
  return names.filter((name) => !installed.has(name));
}
