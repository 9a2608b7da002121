/** The certificates that k3s has made for its parts on this machine. */
import { X509Certificate } from 'node:crypto';
import { AgentError } from '../../core/errors.ts';
import {
  K3S_DATA_DIRECTORY,
  K3S_EXECUTABLE,
  K3S_UNITS,
  type K3sRole,
} from '../../core/k3s-places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import {
  type Command,
  LEAVES_NOTHING,
  LEFT_AS_IT_IS,
  type Making,
  type Resource,
} from '../engine/resource.ts';

export const ROTATION_ID = 'k3s-certificate-rotation';

const DIRECTORIES = ['server/tls', 'server/tls/etcd', 'agent'].map(
  (name) => `${K3S_DATA_DIRECTORY}/${name}`,
);
/** k3s makes about 25. */
const CERTIFICATES_MAX = 100;
/** Stopping and starting k3s each wait for its processes. */
const TIMEOUT_MS = 180_000;

export interface K3sCertificate {
  readonly path: string;
  readonly isAuthority: boolean;
  readonly beginsAt: Date;
  readonly endsAt: Date;
}

/** Root's. @throws AgentError FILE_ACCESS */
export async function readK3sCertificates(files: Files): Promise<readonly K3sCertificate[]> {
  const found: K3sCertificate[] = [];
  for (const directory of DIRECTORIES) {
    const names = (await files.list(directory)).filter((name) => name.endsWith('.crt'));
    for (const name of names.slice(0, CERTIFICATES_MAX)) {
      const path = `${directory}/${name}`;
      found.push(...certificatesIn(path, (await files.readText(path)) ?? ''));
    }
  }
  return found;
}

/** The first one counts: behind it stand those that have signed it. What is none is left out. */
function certificatesIn(path: string, pem: string): readonly K3sCertificate[] {
  try {
    const { ca, validFrom, validTo } = new X509Certificate(pem);
    return [{ path, isAuthority: ca, beginsAt: new Date(validFrom), endsAt: new Date(validTo) }];
  } catch {
    return [];
  }
}

/**
 * Has k3s make its certificates anew that are not valid yet, because they were made while the clock was ahead.
 * Pods keep running. Authorities stay: their certificates are on every node.
 */
export function k3sCertificateRotation(
  deps: { readonly clock: Clock; readonly exec: Exec; readonly files: Files },
  role: K3sRole,
  isWanted: boolean,
): Resource {
  const unit = K3S_UNITS[role];
  const commands: readonly Command[] = [
    ['systemctl', 'stop', unit],
    [K3S_EXECUTABLE, 'certificate', 'rotate'],
    ['systemctl', 'start', unit],
  ];
  const isDone = async () => {
    const now = deps.clock.now();
    const all = await readK3sCertificates(deps.files);
    return all.every(({ isAuthority, beginsAt }) => isAuthority || beginsAt <= now);
  };
  const making: Making = {
    isWanted: true,
    isDone,
    apply: async () => {
      for (const command of commands) {
        await run(deps.exec, command);
      }
    },
    changes: async () => [{ action: (await isDone()) ? 'keep' : 'restart', target: unit }],
    commands: async () => commands,
  };
  return {
    id: ROTATION_ID,
    title: 'Make the certificates of k3s anew',
    touches: DIRECTORIES,
    ...LEAVES_NOTHING,
    ...(isWanted ? making : LEFT_AS_IT_IS),
  };
}

/** @throws AgentError TOOL_FAILED */
async function run(exec: Exec, argv: Command): Promise<void> {
  const { exitCode, stdout, stderr } = await exec.run(argv, { timeoutMs: TIMEOUT_MS });
  if (exitCode !== 0) {
    const said = (stderr || stdout).trim();
    throw new AgentError('TOOL_FAILED', `${argv.join(' ')} failed: ${said}`, {
      hint: 'Correct what it says, then run the same command again; to start k3s as it is: sudo systemctl start k3s',
      details: { argv: [...argv], exit: exitCode },
    });
  }
}
