/** How `install` and `join` report what they did. */
import type { SetUpOutcome, SetUpSummary } from '../../machine/set-up.ts';
import { renderChanges, renderTable } from '../terminal/render.ts';

/** @returns for standard output */
export function renderSetUpOutcome(
  outcome: SetUpOutcome,
  options: { readonly json: boolean; readonly columns: number | undefined },
): string {
  switch (outcome.kind) {
    case 'planned': {
      const { plan, adoption } = outcome;
      return options.json
        ? `${JSON.stringify({ plan, adoption }, null, 2)}\n`
        : renderTable(
            plan.map(({ title, changes, needed }) => [
              needed ? title : `(done) ${title}`,
              renderChanges(changes),
            ]),
            options.columns,
          );
    }
    case 'done':
      return options.json
        ? `${JSON.stringify(outcome.summary, null, 2)}\n`
        : renderSummary(outcome.summary, options.columns);
  }
}

function renderSummary(summary: SetUpSummary, columns: number | undefined): string {
  const isServer = summary.role === 'server';
  const next = isServer
    ? 'To add a machine:   sudo pipeops-agent token create\n'
    : 'To see it in the cluster, on a server:  sudo pipeops-agent cluster-info\n';
  const rows = [
    ['Node', `${summary.node} (${isServer ? 'server' : 'worker'})`],
    ...(summary.adopted ? [['k3s', 'was here before: it stays as it is']] : []),
    ...(summary.cluster_name === null ? [] : [['Cluster', summary.cluster_name]]),
    // Of further servers neither is told: the agent of the first one speaks for the cluster.
    ...(isServer && summary.cluster_name !== null
      ? [['Control plane', summary.control_plane ?? 'none (standalone)']]
      : []),
    ['Files', summary.files.join(', ')],
    ['Ports', summary.ports.join(', ')],
    ['Units', summary.units.join(', ')],
  ];
  return (
    `\nThis machine is ready, in ${summary.seconds} s.\n\n${renderTable(rows, columns)}\n` +
    `How it is:          sudo pipeops-agent status\n${next}` +
    'To take it off:     sudo pipeops-agent uninstall\n'
  );
}
