/** How `install` and `join` report what they did. */
import type { SetUpOutcome, SetUpSummary } from '../../machine/set-up.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import { renderChanges, renderDetails, renderTable } from '../terminal/render.ts';

/** @returns for standard output */
export function renderSetUpOutcome(
  outcome: SetUpOutcome,
  options: { readonly json: boolean; readonly columns: number | undefined },
): string {
  switch (outcome.kind) {
    case 'planned': {
      const { plan, adoption, networks } = outcome;
      return options.json
        ? jsonDocument<'install'>({ plan, adoption, networks })
        : renderTable(
            plan.map(({ title, changes, needed }) => [
              needed ? title : `(done) ${title}`,
              renderChanges(changes),
            ]),
            options.columns,
          ) + renderDetails(plan);
    }
    case 'done':
      return options.json
        ? jsonDocument<'install'>(outcome.summary)
        : renderSummary(outcome.summary, options.columns);
  }
}

/** Steps that took less than this are told together. */
const NOTICEABLE_SECONDS = 0.1;

/** What took noticeable time, in order; nothing where that is not worth a table. */
function renderTimes(
  { checks, steps, seconds }: SetUpSummary,
  columns: number | undefined,
): string {
  const all = [...checks.map((check) => ({ ...check, parts: [] })), ...steps];
  const shown = all.filter((each) => each.seconds >= NOTICEABLE_SECONDS);
  if (shown.length === 0) {
    return '';
  }
  const rest = shown.reduce((left, each) => left - each.seconds, seconds);
  const width = seconds.toFixed(1).length;
  const cell = (value: number) => `${value.toFixed(1).padStart(width)} s`;
  const rows = shown.map(({ title, seconds: own, parts }) => [
    `  ${title}`,
    cell(own),
    parts
      .filter((part) => part.seconds >= NOTICEABLE_SECONDS)
      .map((part) => `${part.title} ${part.seconds.toFixed(1)} s`)
      .join(', '),
  ]);
  return `${renderTable([...rows, ['  All the rest', cell(Math.max(rest, 0)), '']], columns)}\n`;
}

function describe({ pods, services }: NonNullable<SetUpSummary['networks']>): string {
  const named = [
    { of: 'pods', networks: pods },
    { of: 'Services', networks: services },
  ];
  return named
    .filter(({ networks }) => networks.length > 0)
    .map(({ of, networks }) => `${networks.join(', ')} (${of})`)
    .join(', ');
}

function renderSummary(summary: SetUpSummary, columns: number | undefined): string {
  const isServer = summary.role === 'server';
  const next = isServer
    ? 'To add a machine:   sudo pipeops-agent token create\n'
    : 'To see it in the cluster, on a server:  sudo pipeops-agent cluster-info\n' +
      'To try the network of its pods, there:   sudo pipeops-agent doctor --canary\n';
  const rows = [
    ['Node', `${summary.node} (${isServer ? 'server' : 'worker'})`],
    ...(summary.adopted ? [['k3s', 'was here before: it stays as it is']] : []),
    ...(summary.cluster_name === null ? [] : [['Cluster', summary.cluster_name]]),
    ...(summary.networks === null ? [] : [['Networks', describe(summary.networks)]]),
    // Of further servers neither is told: the agent of the first one speaks for the cluster.
    ...(isServer && summary.cluster_name !== null
      ? [['Control plane', summary.control_plane ?? 'none (standalone)']]
      : []),
    ['Files', summary.files.join(', ')],
    ['Ports', summary.ports.join(', ')],
    ['Units', summary.units.join(', ')],
  ];
  return (
    `\nThis machine is ready, in ${summary.seconds.toFixed(1)} s.\n\n` +
    `${renderTimes(summary, columns)}${renderTable(rows, columns)}\n` +
    `How it is:          sudo pipeops-agent status\n${next}` +
    'To take it off:     sudo pipeops-agent uninstall\n'
  );
}
