import { AgentError } from '../../core/errors.ts';
import { visibleLine } from '../../core/text/visible.ts';
import type { NodeUsageRow, PodUsagePage } from '../../protocol/local-cluster.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';

const MIB = 1024 * 1024;
/** Of one answer of the daemon (protocol/local-queries.ts). */
const LIMIT_MAX = 500;
/** As many as one answer has. */
const NODES_MAX = 500;
const SORTS = { cpu: '-cpu', memory: '-memory_bytes' } as const;

export const topSubcommand = defineSubcommand({
  name: 'top',
  description:
    'Shows what the nodes of the cluster use now, and which pods use most. Asked on a server.',
  example: 'sudo pipeops-agent top --sort memory',
  flags: {
    namespace: { type: 'string', description: 'Only pods of this one', valueHint: 'NAME' },
    sort: {
      type: 'string',
      description: 'What uses most of this comes first',
      default: 'cpu',
      values: Object.keys(SORTS),
      valueHint: 'WHAT',
    },
    limit: {
      type: 'string',
      description: `How many pods, at most ${LIMIT_MAX}`,
      default: '20',
      valueHint: 'N',
    },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const sort = readSort(flags.sort);
    const limit = readLimit(flags.limit);
    const { askRoute } = await import('../../machine/ask-daemon.ts');
    const { renderTable } = await import('../terminal/render.ts');
    const nodes = await askRoute(context, 'GET /api/k8s/usage/nodes', { sort, limit: NODES_MAX });
    const { namespace } = flags;
    const pods = await whereMeasured(
      askRoute(context, 'GET /api/k8s/usage/pods', { sort, limit, namespace }),
    );
    if (flags.json) {
      const document = { nodes: nodes.items, pods: pods?.items ?? null };
      context.io.stdout(jsonDocument<'top'>(document));
      return 0;
    }
    const { columns } = context.io;
    context.io.stdout(
      renderTable([['NODE', 'CPU', 'MEMORY'], ...nodes.items.map(nodeCells)], columns),
    );
    if (pods === undefined) {
      context.io.stderr('\nNothing in this cluster measures pods: it has no metrics-server\n');
      return 0;
    }
    context.io.stdout(`\n${renderTable([['POD', 'CPU', 'MEMORY'], ...podCells(pods)], columns)}`);
    if (pods.total > pods.items.length) {
      context.io.stderr(`These are ${pods.items.length} of ${pods.total}: --limit shows more\n`);
    }
    return 0;
  },
});

async function whereMeasured(answer: Promise<PodUsagePage>): Promise<PodUsagePage | undefined> {
  try {
    return await answer;
  } catch (thrown) {
    if (thrown instanceof AgentError && thrown.code === 'NOT_FOUND') {
      return undefined;
    }
    throw thrown;
  }
}

function nodeCells(node: NodeUsageRow): readonly string[] {
  const cpu = share(node.cpu, node.cpu_capacity);
  const memory = share(node.memory_bytes, node.memory_capacity_bytes);
  return [node.name, `${coresText(node.cpu)}${cpu}`, `${mibText(node.memory_bytes)}${memory}`];
}

function podCells({ items }: PodUsagePage): readonly (readonly string[])[] {
  return items.map(({ namespace, name, cpu, memory_bytes: memory }) => [
    `${namespace}/${name}`,
    coresText(cpu),
    mibText(memory),
  ]);
}

/** `250m`, as Kubernetes has it. */
function coresText(cores: number): string {
  return `${Math.round(cores * 1_000)}m`;
}

function mibText(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}

function share(part: number, whole: number | null): string {
  return whole === null || whole === 0 ? '' : `, ${Math.round((part / whole) * 100)} %`;
}

function readSort(text: string): (typeof SORTS)[keyof typeof SORTS] {
  const sort = Object.entries(SORTS).find(([name]) => name === text)?.[1];
  if (sort === undefined) {
    throw new AgentError('USAGE', `Cannot sort by "${visibleLine(text)}"`, {
      hint: `Give one of: ${Object.keys(SORTS).join(', ')}`,
    });
  }
  return sort;
}

function readLimit(text: string): number {
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > LIMIT_MAX) {
    throw new AgentError('USAGE', `Cannot use --limit "${text}"`, {
      hint: `Give a number from 1 to ${LIMIT_MAX}`,
    });
  }
  return limit;
}
