import { JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';

export const clusterInfoSubcommand = defineSubcommand({
  name: 'cluster-info',
  description: 'Shows the addresses, versions and nodes of this cluster, and how to join it.',
  example: 'sudo pipeops-agent cluster-info',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    const { readClusterInfo } = await import('../../host/cluster/info.ts');
    const { renderTable } = await import('../terminal/render.ts');
    const info = await readClusterInfo(context);
    if (flags.json) {
      context.io.stdout(`${JSON.stringify(info, null, 2)}\n`);
      return 0;
    }
    context.io.stdout(
      renderTable(
        [
          ['Servers', info.servers.join(', ')],
          ['k3s', info.k3s_version ?? 'unknown'],
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
