/**
 * The ways to one cluster that are compared: the API server itself, the agent's TLS door on its
 * machine, and the control plane with the agent's session. All with the same kubectl.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type CommandResult, runCommand } from '../../vm/host-command.ts';
import { buildK3s, K3S_VERSION } from '../../vm/k3s-build.ts';
import type { Machine } from '../../vm/machine.ts';

/** Longest run of one script. */
const SCRIPT_SECONDS_MAX = 90;
const ADMIN_KUBECONFIG = '/etc/rancher/k3s/k3s.yaml';

export interface Way {
  readonly name: string;
  /**
   * Runs a shell script in a directory of the way's own, where `k` is kubectl in the namespace $NS
   * and `until_seen <file> <pattern>` waits for a line in a file.
   */
  run(script: string, env?: Readonly<Record<string, string>>): Promise<CommandResult>;
}

/** `k` is a program, so that `timeout`, `script` and `xargs` can run it, too. */
const PRELUDE = `
mkdir -p "$WORK/bin" && cd "$WORK"
printf '#!/bin/sh\\nexec k3s kubectl --namespace "$NS" "$@"\\n' > bin/k && chmod +x bin/k
export PATH="$WORK/bin:$PATH"
until_seen() {
  until grep -q -e "$2" "$1" 2> /dev/null; do sleep 0.05; done
}
set -e
`;

const argvOf = (script: string) => [
  ...['timeout', '--kill-after=5', String(SCRIPT_SECONDS_MAX)],
  ...['bash', '-c', PRELUDE + script],
];

const environment = (name: string, work: string, kubeconfig: string) => ({
  ...{ NS: `kubectl-${name}`, WORK: work, KUBECONFIG: kubeconfig },
  KUBECACHEDIR: join(work, 'cache'),
  TERM: 'dumb',
  LANG: 'C.UTF-8',
});

/** On the machine, with a kubeconfig that lies there. */
function onMachine(machine: Machine, name: string, kubeconfig: string): Way {
  const base = environment(name, `/var/tmp/kubectl-${name}`, kubeconfig);
  return {
    name,
    run: (script, env = {}) =>
      machine.exec(argvOf(script), {
        env: { ...base, ...env },
        timeoutMs: (SCRIPT_SECONDS_MAX + 10) * 1_000,
        check: false,
      }),
  };
}

export const directWay = (machine: Machine) => onMachine(machine, 'direct', ADMIN_KUBECONFIG);

/** As root, who may read the agent's local token. */
export async function localWay(machine: Machine): Promise<Way> {
  const { stdout } = await machine.exec(['pipeops-agent', 'kubeconfig', '--local']);
  await machine.writeFile('/root/local.kubeconfig', stdout, { mode: 0o600 });
  return onMachine(machine, 'local', '/root/local.kubeconfig');
}

/** On this host, through the admin side of the control plane. */
export async function sessionWay(name: string, server: string): Promise<Way & AsyncDisposable> {
  const work = await mkdtemp(join(tmpdir(), 'pipeops-kubectl-'));
  const kubeconfig = join(work, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'agent',
    clusters: [{ name: 'agent', cluster: { server } }],
    users: [{ name: 'nobody', user: {} }],
    contexts: [{ name: 'agent', context: { cluster: 'agent', user: 'nobody' } }],
  };
  await mkdir(work, { recursive: true });
  await writeFile(kubeconfig, JSON.stringify(config));
  const path = `${dirname(await buildK3s(K3S_VERSION))}:/usr/local/bin:/usr/bin:/bin`;
  const base = { ...environment(name, work, kubeconfig), HOME: work, PATH: path };
  return {
    name,
    run: (script, env = {}) =>
      runCommand(argvOf(script), {
        env: { ...base, ...env },
        timeoutMs: (SCRIPT_SECONDS_MAX + 10) * 1_000,
        check: false,
      }),
    [Symbol.asyncDispose]: () => rm(work, { recursive: true, force: true }),
  };
}
