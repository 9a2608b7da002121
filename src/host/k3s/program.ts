import { AgentError } from '../../core/errors.ts';
import {
  K3S_EXECUTABLE,
  K3S_PROGRAM_DIRECTORY,
  K3S_UNIT_DIRECTORY,
  type K3sRole,
} from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, ExecResult, Files } from '../../core/ports.ts';
import { diskFull } from '../engine/disk-full.ts';
import { waitForPackages } from '../engine/package-lock.ts';
import type { TellPart } from '../engine/resource.ts';
import type { K3sOrigin } from './origin.ts';
import { type K3sProxy, proxyVariables } from './proxy.ts';

/** Package managers for SELinux rules, over a slow line. */
const INSTALL_TIMEOUT_MS = 20 * 60_000;
/** Where the installer puts the program, its downloads and the unit. */
const INSTALLER_WRITES = [K3S_PROGRAM_DIRECTORY, '/tmp', K3S_UNIT_DIRECTORY];
/** Lines of the installer's output that an error contains. */
const FAILURE_LINES = 15;

interface InstallDeps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

export interface K3sInstallOptions {
  readonly role: K3sRole;
  readonly version: string | undefined;
  readonly origin: K3sOrigin;
  readonly proxy: K3sProxy | undefined;
  /** PEM that downloads trust instead of the system's authorities; undefined: the system's. */
  readonly authorities: string | undefined;
  /** A person goes without the rules for SELinux, which cannot be had. */
  readonly skipsSelinuxPackage: boolean;
}

export interface InstallNews {
  readonly update: (text: string) => void;
  readonly tellPart: TellPart;
}

/**
 * Installs k3s with its own installer and neither enables nor starts it. All settings but the role are in files, so
 * that an upgrade by hand loses nothing (docs.k3s.io, "Configuration Options").
 * @throws AgentError DOWNLOAD_FAILED, DOWNLOAD_CORRUPT, DISK_FULL, K3S_INSTALL_FAILED
 */
export async function installK3s(
  deps: InstallDeps,
  options: K3sInstallOptions,
  { update, tellPart }: InstallNews,
  signal: AbortSignal,
): Promise<void> {
  update('asking for the version of k3s');
  const { origin } = options;
  // What stands there already was placed for an image, or by a run that ended half way.
  const placed = origin.isOnline ? await installedK3sVersion(deps) : undefined;
  const version = options.version ?? placed ?? (await origin.newestVersion(signal));
  update(`fetching the installer of k3s ${version}`);
  const script = await origin.installer(signal);
  const startedAt = deps.clock.monotonic();
  await origin.placeProgram(version, K3S_EXECUTABLE, update, signal);
  tellPart(origin.isOnline ? 'download' : 'copy', deps.clock.monotonic() - startedAt);
  if (origin.isOnline && (await hasSelinux(deps.files))) {
    await waitForPackages(deps, update, signal);
  }
  const { k3sInstallerFile, downloadAuthoritiesFile } = deps.places;
  await deps.files.writeAtomic(k3sInstallerFile, script, { mode: 0o600 });
  try {
    if (options.authorities !== undefined) {
      await deps.files.writeAtomic(downloadAuthoritiesFile, options.authorities, { mode: 0o600 });
    }
    const argv = ['sh', k3sInstallerFile] as const;
    const result = await deps.exec.run(argv, {
      timeoutMs: INSTALL_TIMEOUT_MS,
      env: installerEnvironment(deps, { ...options, version }),
      onLine: (line) => update(line),
      signal,
    });
    if (result.exitCode !== 0) {
      throw installFailure(argv, result, await fullestDirectory(deps.files));
    }
    if (options.role === 'server') {
      await deps.files.writeAtomic(deps.places.keptK3sInstallerFile, script, { mode: 0o600 });
    }
  } finally {
    await deps.files.remove(k3sInstallerFile);
    await deps.files.remove(downloadAuthoritiesFile);
  }
}

/** Only there does k3s' installer use the package manager, for its SELinux policy. */
async function hasSelinux(files: Files): Promise<boolean> {
  return (await files.stat('/sys/fs/selinux/enforce')) !== undefined;
}

/** @returns the version of the installed k3s, `v1.36.3+k3s1`; undefined when there is none */
export async function installedK3sVersion(deps: {
  readonly exec: Exec;
  readonly files: Files;
}): Promise<string | undefined> {
  if ((await deps.files.stat(K3S_EXECUTABLE)) === undefined) {
    return undefined;
  }
  const result = await deps.exec.run([K3S_EXECUTABLE, '--version'], { timeoutMs: 30_000 });
  return /\bv\d+\.\d+\.\d+\S*/.exec(result.stdout)?.[0];
}

function installerEnvironment(
  { places: { downloadAuthoritiesFile } }: InstallDeps,
  options: K3sInstallOptions & { readonly version: string },
): Record<string, string> {
  return {
    INSTALL_K3S_EXEC: options.role,
    INSTALL_K3S_VERSION: options.version,
    // A step of its own enables and starts it, and has systemd read the unit once for both.
    INSTALL_K3S_SKIP_ENABLE: 'true',
    INSTALL_K3S_SKIP_START: 'true',
    // The program is in its place. What else it fetches, rules for SELinux, needs a network.
    INSTALL_K3S_SKIP_DOWNLOAD: options.origin.isOnline ? 'binary' : 'true',
    ...(options.skipsSelinuxPackage
      ? { INSTALL_K3S_SKIP_SELINUX_RPM: 'true', INSTALL_K3S_SELINUX_WARN: 'true' }
      : {}),
    ...(options.origin.releasesUrl === undefined ? {} : { GITHUB_URL: options.origin.releasesUrl }),
    // curl(1) reads the first, wget and other users of OpenSSL the second.
    ...(options.authorities === undefined
      ? {}
      : { CURL_CA_BUNDLE: downloadAuthoritiesFile, SSL_CERT_FILE: downloadAuthoritiesFile }),
    ...proxyVariables(options.proxy),
  };
}

/** Where the installer most likely ran out of space. It does not say so, but writes to few places. */
async function fullestDirectory(files: Files): Promise<string> {
  let fullest = { path: '', freeBytes: Number.POSITIVE_INFINITY };
  for (const path of INSTALLER_WRITES) {
    const { freeBytes } = await files.diskSpace(path);
    fullest = freeBytes < fullest.freeBytes ? { path, freeBytes } : fullest;
  }
  return fullest.path;
}

/** The installer's exit code is always 1. Its last lines tell what was wrong. */
function installFailure(argv: readonly string[], result: ExecResult, fullest: string): AgentError {
  const lines = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-FAILURE_LINES);
  const text = lines.join('\n');
  const details = { argv, exit: result.exitCode, last_lines: lines };
  const last = lines.at(-1) ?? '';
  const full = diskFull(text, 'install k3s', fullest);
  if (full !== undefined) {
    return full;
  }
  if (/sha-?256/i.test(last)) {
    return new AgentError('DOWNLOAD_CORRUPT', `Cannot install k3s: ${last}`, {
      hint: 'Run the same command again; if it stays so, the mirror or a proxy changes downloads',
      details,
    });
  }
  if (/download failed/i.test(last)) {
    return new AgentError('DOWNLOAD_FAILED', `Cannot install k3s: ${last}`, {
      hint: 'Check that this machine reaches the address, and that the version exists',
      details,
    });
  }
  return new AgentError('K3S_INSTALL_FAILED', `The installer of k3s failed: ${last}`, {
    hint: 'Correct what its last lines name, then run the same command again',
    details,
  });
}
