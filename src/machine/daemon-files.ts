/** Checks the files that the daemon reads beside its configuration, in the way in which it reads them. */
import { dirname, join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { readCaFile } from '../control-plane/credentials/ca-file.ts';
import { AgentError } from '../core/errors.ts';
import { AGENT_USER } from '../core/places.ts';
import { isListed } from '../host/agent/account.ts';
import { unreadableForAgent } from '../host/agent/readable.ts';
import { readPolicyFile } from '../policy/read-file.ts';
import { parseKubeconfig } from '../protocol/files/kubeconfig.ts';
import { parseControlPlaneToken } from '../protocol/secrets/control-plane-token.ts';
import type { MachineContext } from './context.ts';

const TIMEOUT_MS = 10_000;
/** The most that is read of a secret. The daemon reads no more of any of them. */
const SECRET_LIMIT_BYTES = 16 * 1024;
/** Longest `user:password` of a proxy that the daemon reads, bytes. */
const PROXY_CREDENTIALS_LIMIT_BYTES = 1024;
export interface FilesChecked {
  readonly problems: readonly string[];
  /** Files that could not be looked at. Empty for root. */
  readonly unchecked: readonly string[];
}

/** What is known of the settings, even if some of them are wrong. */
export interface KnownSettings {
  readonly caFile: string | undefined;
  readonly role: Config['agent']['role'];
}

/** Every problem with the files that the daemon reads. Each begins with the setting or the file concerned. */
export async function checkDaemonFiles(
  context: MachineContext,
  { caFile, role }: KnownSettings,
  configPath: string,
): Promise<FilesChecked> {
  const policyPath = join(dirname(configPath), 'policy.yaml');
  const isInstalled = configPath === context.places.configFile;
  const problems = [
    ...(caFile === undefined ? [] : await caProblems(context, caFile)),
    ...(await policyProblems(context, policyPath)),
    // A draft somewhere else need not be readable for the daemon. The files that it names must be.
    ...(isInstalled ? await unreadable(context, [configPath, policyPath]) : []),
  ];
  if (!isInstalled || !(await isListed(context.files, '/etc/passwd'))) {
    return { problems, unchecked: [] };
  }
  problems.push(...(role === 'server' ? await kubeconfigProblems(context) : []));
  if (context.uid !== 0) {
    return {
      problems,
      unchecked: [context.places.controlPlaneTokenFile, context.places.proxyCredentialsFile],
    };
  }
  problems.push(
    ...(await secretProblems(context, context.places.controlPlaneTokenFile, tokenProblem)),
    ...(await secretProblems(
      context,
      context.places.proxyCredentialsFile,
      proxyCredentialsProblem,
    )),
  );
  return { problems, unchecked: [] };
}

async function caProblems(context: MachineContext, path: string): Promise<readonly string[]> {
  const file = await readCaFile(context.files, path);
  const hidden = await unreadableForAgent(context, path);
  return ['problem' in file ? file.problem : undefined, hidden]
    .filter((problem) => problem !== undefined)
    .map((problem) => `control_plane.ca_file: ${problem}`);
}

async function policyProblems(context: MachineContext, path: string): Promise<readonly string[]> {
  const found = await problemsOf(() => readPolicyFile(context, path));
  return found.map((problem) => `policy.yaml: ${problem}`);
}

async function kubeconfigProblems(context: MachineContext): Promise<readonly string[]> {
  if ((await context.files.stat(context.places.kubeconfigFile)) === undefined) {
    return [
      `kubeconfig: there is no ${context.places.kubeconfigFile}; "pipeops-agent install" writes it`,
    ];
  }
  if (context.uid !== 0) {
    return []; // Only the daemon and root may read it.
  }
  const text = await context.files.readText(context.places.kubeconfigFile);
  return [
    ...(text !== undefined && parseKubeconfig(text) === undefined
      ? [
          `kubeconfig: ${context.places.kubeconfigFile} is none of the agent; "pipeops-agent install" writes it again`,
        ]
      : []),
    ...(await unreadable(context, [context.places.kubeconfigFile])),
  ];
}

/** The existing files among these that the daemon may not read. */
async function unreadable(
  context: MachineContext,
  paths: readonly string[],
): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const path of paths) {
    const isThere = (await context.files.stat(path)) !== undefined;
    const problem = isThere ? await unreadableForAgent(context, path) : undefined;
    problems.push(...(problem === undefined ? [] : [problem]));
  }
  return problems;
}

/**
 * Problems with a secret in the daemon's own directory. Root opens nothing there by name, so the daemon's
 * user reads it. A missing file is no problem: without a token the machine is standalone.
 */
async function secretProblems(
  context: MachineContext,
  path: string,
  problemOf: (text: string) => string | undefined,
): Promise<readonly string[]> {
  const script = `test -e "$1" || exit 0; head -c ${SECRET_LIMIT_BYTES + 1} "$1"`;
  const { exitCode, stdout } = await asDaemon(context, script, path);
  if (exitCode !== 0) {
    return [`the agent, user ${AGENT_USER}, may not read ${path}`];
  }
  const problem = problemOf(stdout);
  return problem === undefined ? [] : [`${path}: ${problem}`];
}

function tokenProblem(text: string): string | undefined {
  try {
    parseControlPlaneToken(text);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      return thrown.message;
    }
    throw thrown;
  }
}

/** The answer never contains the credentials. */
function proxyCredentialsProblem(text: string): string | undefined {
  const credentials = text.trim();
  if (credentials === '') {
    return undefined;
  }
  if (Buffer.byteLength(text) > PROXY_CREDENTIALS_LIMIT_BYTES) {
    return `it is longer than ${PROXY_CREDENTIALS_LIMIT_BYTES} bytes`;
  }
  return /^[^:\s][^:\r\n]*:[^\r\n]*$/.test(credentials)
    ? undefined
    : 'it is not user:password on one line';
}

function asDaemon(context: MachineContext, script: string, path: string) {
  const shell = ['sh', '-c', script, 'sh', path];
  return context.exec.run(['runuser', '-u', AGENT_USER, '--', ...shell], { timeoutMs: TIMEOUT_MS });
}

/** The single problems if the error lists them, otherwise its message. */
async function problemsOf(read: () => Promise<unknown>): Promise<readonly string[]> {
  try {
    await read();
    return [];
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      const listed = thrown.details?.['problems'];
      return Array.isArray(listed) ? listed.map(String) : [thrown.message];
    }
    throw thrown;
  }
}
