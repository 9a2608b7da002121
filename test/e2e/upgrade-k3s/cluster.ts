/** What the upgrades of k3s on real machines have in common. */
import type { Machine } from '../../vm/machine.ts';

/** The k3s for tests under the name of the next minor version. */
export const NEXT_K3S = 'v1.37.0+k3s1';
const UPGRADE_TIMEOUT_MS = 900_000;

/** `upgrade k3s`. @returns its document, or its error */
export async function upgradeK3s(machine: Machine, ...words: readonly string[]) {
  const { exitCode, stdout, stderr } = await machine.exec(
    ['pipeops-agent', 'upgrade', 'k3s', ...words, '--json'],
    { timeoutMs: UPGRADE_TIMEOUT_MS, check: false },
  );
  return { exitCode, ...JSON.parse(stdout), stderr };
}

/** Lets a node look every 2 s, and not every minute, whether it is asked for another k3s. */
export async function lookOften(machine: Machine): Promise<void> {
  const often = 'OnActiveSec=\nOnActiveSec=1s\nOnUnitInactiveSec=2s\nAccuracySec=100ms';
  const timer = 'pipeops-agent-k3s-asked.timer';
  await machine.writeFile(`/etc/systemd/system/${timer}.d/often.conf`, `[Timer]\n${often}\n`);
  await machine.exec(['systemctl', 'daemon-reload']);
  await machine.exec(['systemctl', 'restart', timer]);
}

/** `<name> <version>`, with what is not as it should be, of each node. */
export async function versionsOf(server: Machine): Promise<readonly string[]> {
  const argv = ['k3s', 'kubectl', 'get', 'nodes', '-o', 'json'];
  const { items } = JSON.parse((await server.exec(argv)).stdout) as {
    readonly items: readonly {
      readonly metadata: { readonly name: string };
      readonly spec: { readonly unschedulable?: boolean };
      readonly status: {
        readonly nodeInfo: { readonly kubeletVersion: string };
        readonly conditions: readonly { readonly type: string; readonly status: string }[];
      };
    }[];
  };
  return items.map(({ metadata, spec, status }) => {
    const isReady = status.conditions.some(
      (each) => each.type === 'Ready' && each.status === 'True',
    );
    const wrong = [isReady ? '' : ' not ready', spec.unschedulable === true ? ' cordoned' : ''];
    return `${metadata.name} ${status.nodeInfo.kubeletVersion}${wrong.join('')}`;
  });
}
