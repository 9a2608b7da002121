import type { NodeStatus, PodInfo, ResourceInfo } from '../../protocol/rest.ts';
import { Age } from '../parts/age.tsx';
import { Badge } from '../parts/badge.tsx';
import type { Column } from '../parts/table.tsx';
import { RowList } from './row-list.tsx';

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
  <RowList
    name="GET /api/k8s/nodes"
    noun="nodes"
    columns={NODE_COLUMNS}
    keyOf={keyOf}
    hasNamespace={false}
  />
);
export const Deployments = () => (
  <RowList
    name="GET /api/k8s/deployments"
    noun="deployments"
    columns={DEPLOYMENT_COLUMNS}
    keyOf={keyOf}
  />
);
export const Pods = () => (
  <RowList name="GET /api/k8s/pods" noun="pods" columns={POD_COLUMNS} keyOf={keyOf} />
);
export const Services = () => (
  <RowList name="GET /api/k8s/services" noun="services" columns={SERVICE_COLUMNS} keyOf={keyOf} />
);
