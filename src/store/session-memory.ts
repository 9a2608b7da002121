import type { Database } from 'bun:sqlite';

/** What is kept of a registration with a control plane. */
interface Kept {
  readonly clusterId: string;
  readonly clusterUuid: string;
  readonly supportsCommands: boolean;
  readonly supportsStatusReports: boolean;
  readonly supportsFlowControl: boolean;
  /** SHA-256 of the service token: the token itself is never kept. */
  readonly serviceTokenHash: string;
}

interface Row {
  readonly cluster_id: string;
  readonly cluster_uuid: string;
  readonly supports_commands: number;
  readonly supports_status_reports: number;
  readonly supports_flow_control: number;
  readonly service_token_hash: string;
}

/**
 * Remembers only the last registration: with another control plane the agent begins anew.
 * @param controlPlaneUrl whose registration it is
 */
export function sessionMemory(
  database: Database,
  controlPlaneUrl: string,
): { read(): Kept | undefined; write(session: Kept): void } {
  return {
    read: () => {
      const row = database
        .query<Row, [string]>('SELECT * FROM session_memory WHERE control_plane_url = ?')
        .get(controlPlaneUrl);
      return row === null ? undefined : readRow(row);
    },
    write: database.transaction((session: Kept) => {
      // What a newer version noted of the same registration stays; of another one it means nothing.
      database.run('DELETE FROM session_memory WHERE control_plane_url <> ? OR cluster_id <> ?', [
        controlPlaneUrl,
        session.clusterId,
      ]);
      database.run(
        `INSERT INTO session_memory (id, control_plane_url, cluster_id, cluster_uuid,
           supports_commands, supports_status_reports, supports_flow_control, service_token_hash)
         VALUES (1, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET cluster_uuid = excluded.cluster_uuid,
           supports_commands = excluded.supports_commands,
           supports_status_reports = excluded.supports_status_reports,
           supports_flow_control = excluded.supports_flow_control,
           service_token_hash = excluded.service_token_hash`,
        [
          controlPlaneUrl,
          session.clusterId,
          session.clusterUuid,
          session.supportsCommands ? 1 : 0,
          session.supportsStatusReports ? 1 : 0,
          session.supportsFlowControl ? 1 : 0,
          session.serviceTokenHash,
        ],
      );
    }),
  };
}

function readRow(row: Row): Kept {
  return {
    clusterId: row.cluster_id,
    clusterUuid: row.cluster_uuid,
    supportsCommands: row.supports_commands === 1,
    supportsStatusReports: row.supports_status_reports === 1,
    supportsFlowControl: row.supports_flow_control === 1,
    serviceTokenHash: row.service_token_hash,
  };
}
