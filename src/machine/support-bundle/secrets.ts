/** The secrets of this machine, none of which may leave it in a text that a person hands on. */
import {
  K3S_NODE_TOKEN_FILE,
  K3S_SERVER_TOKEN_FILE,
  NODE_PASSWORD_FILE,
} from '../../core/k3s-places.ts';
import { AGENT_USER } from '../../core/places.ts';
import { readTokenTrial, TOKEN_TRIAL_LIMIT_BYTES } from '../../protocol/files/token-trial.ts';
import type { MachineContext } from '../context.ts';
import type { BundleWishes } from './contents.ts';

const READ_TIMEOUT_MS = 10_000;
/** Of a file with secrets of this machine; a longer one is none of ours. */
const SECRET_BYTES_MAX = TOKEN_TRIAL_LIMIT_BYTES;

/**
 * The secrets that this machine keeps in files, of which any may stand in some text as it is.
 * @param readOfDaemon for files in the daemon's directory
 */
export async function secretsHere(
  context: MachineContext,
  readOfDaemon: BundleWishes['readOfDaemon'],
): Promise<readonly string[]> {
  const { files, places } = context;
  const ofRoot = [
    ...[K3S_SERVER_TOKEN_FILE, K3S_NODE_TOKEN_FILE, NODE_PASSWORD_FILE],
    ...[places.localTokenFile, places.localTokenBeforeFile, places.k3sTokenFile],
  ];
  const ofDaemon = [places.controlPlaneTokenFile, places.proxyCredentialsFile];
  const texts = await Promise.all([
    ...ofRoot.map((path) => files.readStart(path, SECRET_BYTES_MAX)),
    ...ofDaemon.map((path) => readOfDaemon(context, path)),
  ]);
  const tried = readTokenTrial(await readOfDaemon(context, places.tokenTrialFile));
  return [...texts, tried?.before].flatMap((text) => formsOf(text ?? ''));
}

/** As its user: root follows no path in the daemon's directory. */
export async function readAsDaemon({ exec }: MachineContext, path: string): Promise<string> {
  const read = ['head', '-c', `${SECRET_BYTES_MAX}`, path];
  const argv = ['runuser', '-u', AGENT_USER, '--', ...read] as const;
  const { exitCode, stdout } = await exec.run(argv, { timeoutMs: READ_TIMEOUT_MS });
  return exitCode === 0 ? stdout : '';
}

/**
 * For a process that can become nobody else. Whoever has taken the daemon over may have a link there: what it leads to
 * is only taken out of texts, and told to nobody.
 */
export async function readBehindWalls({ files }: MachineContext, path: string): Promise<string> {
  const file = await files.openFile(path);
  try {
    return file === undefined ? '' : Buffer.from(await file.read(0, SECRET_BYTES_MAX)).toString();
  } finally {
    await file?.close();
  }
}

/** A token of k3s, or `user:password`, holds its password behind the last colon. */
function formsOf(text: string): readonly string[] {
  const whole = text.trim();
  const afterColon = whole.slice(whole.lastIndexOf(':') + 1);
  return whole === '' ? [] : [whole, afterColon];
}
