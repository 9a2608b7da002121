import type { MachineCloud } from '../../machine/cloud.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';

export const clusterInfoSubcommand = defineSubcommand({
  name: 'cluster-info',
  description: 'Shows the addresses, versions and nodes of this cluster, and how to join it.',
  example: 'sudo pipeops-agent cluster-info',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    const { readClusterInfo } = await import('../../host/cluster/info.ts');
    const { readMachineCloud } = await import('../../machine/cloud.ts');
    const { renderTable } = await import('../terminal/render.ts');
    const [info, cloud] = await Promise.all([readClusterInfo(context), readMachineCloud(context)]);
    if (flags.json) {
      context.io.stdout(jsonDocument<'cluster-info'>({ ...info, cloud }));
      return 0;
    }
    context.io.stdout(
      renderTable(
        [
          ['Servers', info.servers.join(', ')],
          ['k3s', info.k3s_version ?? 'unknown'],
          ...(cloud === null ? [] : [['Cloud', cloudWords(cloud)] as const]),
          ...info.nodes.map(
            (node) =>
              [
                `Node ${node.name}`,
                `${node.ready ? 'ready' : 'not ready'}, ${node.role}, ${node.address ?? '-'}, ` +
                  `${node.version}, ${node.architecture}`,
              ] as const,
          ),
        ],
        context.io.columns,
      ),
    );
    context.io.stdout('\nTo add a machine: sudo pipeops-agent token create\n');
    context.io.stdout('For kubectl here: sudo k3s kubectl get nodes\n');
    return 0;
  },
});

function cloudWords({ provider, region, instance_id: id, public_address }: MachineCloud): string {
  return [provider, region, id, public_address].filter((word) => word !== null).join(', ');
}
