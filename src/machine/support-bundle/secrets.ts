/** The secrets of this machine, none of which may leave it in a text that a person hands on. */
import {
  K3S_NODE_TOKEN_FILE,
  K3S_SERVER_TOKEN_FILE,
  NODE_PASSWORD_FILE,
} from '../../core/k3s-places.ts';
import { AGENT_USER } from '../../core/places.ts';
import type { MachineContext } from '../context.ts';

const READ_TIMEOUT_MS = 10_000;
/** What a secret of this machine has at most; a longer text is no secret of ours. */
const SECRET_BYTES_MAX = 8 * 1024;

/** The secrets that this machine keeps in files, of which any may stand in some text as it is. */
export async function secretsHere(context: MachineContext): Promise<readonly string[]> {
  const { files, exec, places } = context;
  const ofRoot = [
    ...[K3S_SERVER_TOKEN_FILE, K3S_NODE_TOKEN_FILE, NODE_PASSWORD_FILE],
    ...[places.localTokenFile, places.k3sTokenFile],
  ];
  const texts = await Promise.all(ofRoot.map((path) => files.readStart(path, SECRET_BYTES_MAX)));
  // Root follows no path in the daemon's directory.
  const ofDaemon = [places.controlPlaneTokenFile, places.proxyCredentialsFile].map(async (path) => {
    const argv = [
      'runuser',
      '-u',
      AGENT_USER,
      '--',
      'head',
      '-c',
      `${SECRET_BYTES_MAX}`,
      path,
    ] as const;
    const { exitCode, stdout } = await exec.run(argv, { timeoutMs: READ_TIMEOUT_MS });
    return exitCode === 0 ? stdout : '';
  });
  return [...texts, ...(await Promise.all(ofDaemon))].flatMap((text) => formsOf(text ?? ''));
}

/** A token of k3s, or `user:password`, holds its password behind the last colon. */
function formsOf(text: string): readonly string[] {
  const whole = text.trim();
  const afterColon = whole.slice(whole.lastIndexOf(':') + 1);
  return whole === '' ? [] : [whole, afterColon];
}
