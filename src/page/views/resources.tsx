import { useState } from 'preact/hooks';
import type { NodeStatus, PodInfo, ResourceInfo } from '../../protocol/rest.ts';
import { useAnswer } from '../agent/use-answer.ts';
import { Age } from '../parts/age.tsx';
import { Badge } from '../parts/badge.tsx';
import { Pager } from '../parts/pager.tsx';
import { type Column, Table } from '../parts/table.tsx';
import { Trouble } from '../parts/trouble.tsx';

const LIMIT = 50;
/** Namespaces to choose from; others are found by their name. */
const NAMESPACES_MAX = 500;

interface Page<Row> {
  readonly total: number;
  readonly items: readonly Row[];
}

const named = <Row extends { readonly name: string }>(): Column<Row> => ({
  title: 'Name',
  sort: 'name',
  cell: ({ name }) => name,
});

const inNamespace: Column<ResourceInfo> = {
  title: 'Namespace',
  sort: 'namespace',
  cell: ({ namespace }) => namespace,
};

const created: Column<ResourceInfo> = {
  title: 'Age',
  sort: 'created_at',
  cell: ({ created_at }) => <Age of={created_at} />,
};

const isReady: Column<{ readonly ready: boolean }> = {
  title: 'Ready',
  sort: 'ready',
  cell: ({ ready }) => <Badge tone={ready ? 'good' : 'bad'}>{ready ? 'Ready' : 'Not ready'}</Badge>,
};

const POD_COLUMNS: readonly Column<PodInfo>[] = [
  named(),
  inNamespace,
  {
    title: 'Phase',
    sort: 'phase',
    cell: ({ phase, ready }) => (
      <Badge tone={ready ? 'good' : phase === 'Succeeded' ? 'idle' : 'warn'}>
        {phase === 'Running' && !ready ? 'Running, not ready' : phase}
      </Badge>
    ),
  },
  { title: 'Node', sort: 'node_name', cell: ({ node_name }) => node_name },
  { title: 'Restarts', sort: 'restarts', isNumber: true, cell: ({ restarts }) => restarts },
  created,
];

const NODE_COLUMNS: readonly Column<NodeStatus>[] = [
  named(),
  isReady,
  { title: 'Version', sort: 'version', cell: ({ version }) => version },
  { title: 'System', cell: ({ os, arch }) => `${os}, ${arch}` },
  { title: 'Processors', isNumber: true, cell: ({ resources }) => resources.capacity['cpu'] },
  { title: 'Memory', isNumber: true, cell: ({ resources }) => resources.capacity['memory'] },
];

const DEPLOYMENT_COLUMNS = [named<ResourceInfo>(), inNamespace, isReady, created];
const SERVICE_COLUMNS = [named<ResourceInfo>(), inNamespace, created];

const keyOf = ({ name, namespace = '' }: { readonly name: string; readonly namespace?: string }) =>
  `${namespace}/${name}`;

export const Nodes = () => (
  <Resources kind="nodes" noun="nodes" columns={NODE_COLUMNS} keyOf={keyOf} hasNamespace={false} />
);
export const Deployments = () => (
  <Resources kind="deployments" noun="deployments" columns={DEPLOYMENT_COLUMNS} keyOf={keyOf} />
);
export const Pods = () => <Resources kind="pods" noun="pods" columns={POD_COLUMNS} keyOf={keyOf} />;
export const Services = () => (
  <Resources kind="services" noun="services" columns={SERVICE_COLUMNS} keyOf={keyOf} />
);

interface ResourcesProps<Row> {
  readonly kind: string;
  readonly noun: string;
  readonly columns: readonly Column<Row>[];
  readonly keyOf: (row: Row) => string;
  readonly hasNamespace?: boolean;
}

/** One kind of the cluster. The agent sorts, filters and pages: of any number of rows, 50 come here. */
function Resources<Row>({
  kind,
  noun,
  columns,
  keyOf: key,
  hasNamespace = true,
}: ResourcesProps<Row>) {
  const [sort, setSort] = useState('name');
  const [name, setName] = useState('');
  const [namespace, setNamespace] = useState('');
  const [offset, setOffset] = useState(0);
  const query = new URLSearchParams({ sort, offset: String(offset), limit: String(LIMIT) });
  if (name !== '') {
    query.set('name', name);
  }
  if (namespace !== '') {
    query.set('namespace', namespace);
  }
  const { answer, error } = useAnswer<Page<Row>>(`k8s/${kind}?${query}`, {
    isNews: ({ event, data }) => event === 'rows' && data.kinds.includes(kind),
  });
  const first = (change: () => void) => {
    change();
    setOffset(0);
  };
  return (
    <>
      <div class="filters">
        <input
          type="search"
          placeholder="A part of the name"
          aria-label={`Find ${noun} by name`}
          value={name}
          onInput={({ currentTarget }) => first(() => setName(currentTarget.value.trim()))}
        />
        {hasNamespace && (
          <NamespaceChoice value={namespace} onChange={(to) => first(() => setNamespace(to))} />
        )}
      </div>
      <Trouble error={error} />
      {answer !== undefined && (
        <>
          <Table
            {...{ columns, sort, label: noun, keyOf: key, rows: answer.items }}
            onSort={(to) => first(() => setSort(to))}
          />
          <Pager {...{ noun, offset, limit: LIMIT, total: answer.total, onOffset: setOffset }} />
        </>
      )}
    </>
  );
}

export function NamespaceChoice({
  value,
  onChange,
}: {
  readonly value: string;
  readonly onChange: (namespace: string) => void;
}) {
  const { answer } = useAnswer<Page<{ readonly name: string }>>(
    `k8s/namespaces?limit=${NAMESPACES_MAX}`,
    { isNews: ({ event, data }) => event === 'rows' && data.kinds.includes('namespaces') },
  );
  return (
    <select
      aria-label="Namespace"
      value={value}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
    >
      <option value="">All namespaces</option>
      {answer?.items.map(({ name }) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}
