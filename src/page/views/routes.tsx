import type {
  RouteRow,
  TunnelRow,
  TunnelStreamRow,
  TunnelStreams,
} from '../../protocol/local-routes.ts';
import { Age } from '../parts/age.tsx';
import { Badge } from '../parts/badge.tsx';
import type { Column } from '../parts/table.tsx';
import { bytes, counted } from '../text/format.ts';
import { RowList } from './row-list.tsx';

const ROUTE_COLUMNS: readonly Column<RouteRow>[] = [
  {
    title: 'Host',
    sort: 'host',
    cell: ({ host, path, tls }) => `${tls ? 'https' : 'http'}://${host}${path}`,
  },
  { title: 'Match', cell: ({ path_type }) => path_type },
  { title: 'Namespace', sort: 'namespace', cell: ({ namespace }) => namespace },
  { title: 'Service', sort: 'service', cell: ({ service, port }) => `${service}:${port}` },
  { title: 'From', cell: ({ name }) => name },
];

const TUNNEL_COLUMNS: readonly Column<TunnelRow>[] = [
  { title: 'Port', sort: 'port', cell: ({ protocol, port }) => `${port}/${protocol}` },
  { title: 'Namespace', sort: 'namespace', cell: ({ namespace }) => namespace },
  { title: 'Gateway', cell: ({ name }) => name },
  {
    title: 'Service',
    sort: 'service',
    cell: ({ service, service_port }) => `${service}:${service_port}`,
  },
  {
    title: 'Way',
    cell: ({ mode, public_endpoint }) => (
      <>
        <Badge tone="idle">{mode}</Badge> {public_endpoint}
      </>
    ),
  },
];

const STREAM_COLUMNS: readonly Column<TunnelStreamRow>[] = [
  {
    title: 'To',
    sort: 'service',
    cell: ({ service, port, protocol }) => `${service}:${port}/${protocol}`,
  },
  { title: 'Namespace', sort: 'namespace', cell: ({ namespace }) => namespace },
  { title: 'Tunnel', cell: ({ tunnel_id }) => tunnel_id },
  { title: 'In', sort: 'bytes_in', isNumber: true, cell: ({ bytes_in }) => bytes(bytes_in) },
  { title: 'Out', sort: 'bytes_out', isNumber: true, cell: ({ bytes_out }) => bytes(bytes_out) },
  { title: 'Open for', sort: 'since', isNumber: true, cell: ({ since }) => <Age of={since} /> },
];

/** What leads from outside to applications: hosts, listeners of Gateways, and what is open through them now. */
export function Routes() {
  return (
    <>
      <RowList
        name="GET /api/routes"
        noun="routes"
        columns={ROUTE_COLUMNS}
        keyOf={({ host, path, path_type }) => `${host} ${path_type} ${path}`}
        firstSort="host"
        findBy="host"
        above={({ left_out }) =>
          left_out > 0 && <p class="muted">{counted(left_out, 'more route')} are not told.</p>
        }
      />
      <h2 class="next">Tunnels</h2>
      <RowList
        name="GET /api/tunnels"
        noun="tunnels"
        columns={TUNNEL_COLUMNS}
        keyOf={({ namespace, name, protocol, port }) => `${namespace}/${name} ${protocol} ${port}`}
        firstSort="port"
        above={({ streams }) => <Streams streams={streams} />}
      />
      <h2 class="next">Open streams</h2>
      <RowList
        name="GET /api/tunnels/streams"
        noun="streams"
        columns={STREAM_COLUMNS}
        keyOf={({ number }) => `${number}`}
        hasNews={false}
        firstSort="-since"
        findBy="Service"
      />
    </>
  );
}

function Streams({ streams }: { readonly streams: TunnelStreams }) {
  const { active, accepted, refused, failed, bytes_in, bytes_out } = streams;
  return (
    <p class="muted">
      {counted(active, 'stream')} open of {accepted.toLocaleString('en')} since the start, {refused}{' '}
      refused, {failed} failed · {bytes(bytes_in)} in, {bytes(bytes_out)} out
    </p>
  );
}
