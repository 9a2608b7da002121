import type { Database } from 'bun:sqlite';
import type { RegisterRoute, Tunnel } from '../../../src/protocol/session/routes.ts';

/** One path of one host, as the control plane would send traffic on. */
export type RouteRecord = Pick<
  RegisterRoute,
  | 'hostname'
  | 'path'
  | 'path_type'
  | 'namespace'
  | 'service_name'
  | 'service_port'
  | 'ingress_name'
  | 'tls'
>;

/** With the port that was given to it here. */
export type TunnelRecord = Tunnel & {
  readonly tunnel_port: number;
  readonly tunnel_endpoint: string;
};

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS routes (
    hostname TEXT NOT NULL, path TEXT NOT NULL, path_type TEXT NOT NULL,
    cluster_uuid TEXT NOT NULL, route TEXT NOT NULL,
    PRIMARY KEY (hostname, path, path_type)) STRICT;
  CREATE TABLE IF NOT EXISTS tunnels (
    tunnel_port INTEGER PRIMARY KEY, tunnel_id TEXT NOT NULL UNIQUE, cluster_uuid TEXT NOT NULL,
    tunnel TEXT NOT NULL) STRICT;`;

/** The first port that is given to a tunnel. */
const FIRST_TUNNEL_PORT = 15_000;

/** What clusters have said about the ways into them. */
export class RouteStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    database.run(SCHEMA);
  }

  register(clusterUuid: string, route: RouteRecord): void {
    const { hostname, path, path_type } = route;
    this.#database.run('INSERT OR REPLACE INTO routes VALUES (?, ?, ?, ?, ?)', [
      ...[hostname, path, path_type, clusterUuid, JSON.stringify(route)],
    ]);
  }

  /** All paths of the host, whoever registered them. @returns whether there was one */
  unregister(hostname: string): boolean {
    return this.#database.run('DELETE FROM routes WHERE hostname = ?', [hostname]).changes > 0;
  }

  sync(clusterUuid: string, routes: readonly RouteRecord[]): void {
    this.#database.transaction(() => {
      this.#database.run('DELETE FROM routes WHERE cluster_uuid = ?', [clusterUuid]);
      for (const route of routes) {
        this.register(clusterUuid, route);
      }
    })();
  }

  routes(clusterUuid: string): readonly RouteRecord[] {
    return this.#database
      .query<{ route: string }, [string]>(
        'SELECT route FROM routes WHERE cluster_uuid = ? ORDER BY hostname, path, path_type',
      )
      .all(clusterUuid)
      .map(({ route }) => JSON.parse(route));
  }

  registerTunnel(tunnel: Tunnel): TunnelRecord {
    const { max } = this.#database
      .query<{ max: number | null }, []>('SELECT max(tunnel_port) AS max FROM tunnels')
      .get() ?? { max: null };
    this.#database.run(
      `INSERT INTO tunnels VALUES (?, ?, ?, ?)
       ON CONFLICT (tunnel_id) DO UPDATE SET tunnel = excluded.tunnel`,
      [
        ...[(max ?? FIRST_TUNNEL_PORT - 1) + 1, tunnel.tunnel_id, tunnel.cluster_uuid],
        JSON.stringify(tunnel),
      ],
    );
    const [made] = this.#tunnels('tunnel_id', tunnel.tunnel_id);
    if (made === undefined) {
      throw new Error(`The tunnel ${tunnel.tunnel_id} was not kept`);
    }
    return made;
  }

  removeTunnel(clusterUuid: string, tunnelId: string): boolean {
    const { changes } = this.#database.run(
      'DELETE FROM tunnels WHERE cluster_uuid = ? AND tunnel_id = ?',
      [clusterUuid, tunnelId],
    );
    return changes > 0;
  }

  syncTunnels(clusterUuid: string, tunnels: readonly Tunnel[]): readonly TunnelRecord[] {
    return this.#database.transaction(() => {
      for (const { tunnel_id } of this.tunnels(clusterUuid)) {
        if (!tunnels.some((each) => each.tunnel_id === tunnel_id)) {
          this.removeTunnel(clusterUuid, tunnel_id);
        }
      }
      return tunnels.map((tunnel) => this.registerTunnel(tunnel));
    })();
  }

  tunnels(clusterUuid: string): readonly TunnelRecord[] {
    return this.#tunnels('cluster_uuid', clusterUuid);
  }

  #tunnels(column: 'cluster_uuid' | 'tunnel_id', value: string): readonly TunnelRecord[] {
    return this.#database
      .query<{ tunnel: string; tunnel_port: number }, [string]>(
        `SELECT tunnel, tunnel_port FROM tunnels WHERE ${column} = ? ORDER BY tunnel_id`,
      )
      .all(value)
      .map(({ tunnel, tunnel_port }) => ({
        ...JSON.parse(tunnel),
        tunnel_port,
        tunnel_endpoint: `127.0.0.1:${tunnel_port}`,
      }));
  }
}
