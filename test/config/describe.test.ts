import { describe, expect, test } from 'bun:test';
import { describeSettings } from '../../src/config/describe.ts';
import { isMisspelling } from '../../src/core/text/did-you-mean.ts';

describe('describeSettings()', () => {
  test('lists every setting in the order of the schema, with type, flag and variable', () => {
    const table = describeSettings().map(({ path, type, meta }) =>
      [path, type, meta.flag ?? '-', meta.env ?? '-'].join(' '),
    );
    expect(table).toEqual([
      'agent.role enum - -',
      'agent.id string agent-id PIPEOPS_AGENT_ID',
      'agent.labels map - -',
      'agent.base_url string - PIPEOPS_BASE_URL',
      'cluster.name string cluster-name CLUSTER_NAME',
      'control_plane.url string api-url PIPEOPS_API_URL',
      'control_plane.transport enum transport -',
      'control_plane.proxy string - HTTPS_PROXY',
      'control_plane.no_proxy string - NO_PROXY',
      'control_plane.ca_file string ca-file PIPEOPS_CA_FILE',
      'control_plane.allow_insecure boolean allow-insecure -',
      'control_plane.gateway_hosts list - -',
      'control_plane.heartbeat_interval string - -',
      'control_plane.status_interval string - -',
      'control_plane.poll_interval string - -',
      'http.port integer port PIPEOPS_PORT',
      'http.tls_port integer tls-port -',
      'http.cors_origins list - -',
      'k3s.version string k3s-version K3S_VERSION',
      'k3s.mirror string k3s-mirror PIPEOPS_K3S_MIRROR',
      'k3s.proxy enum k3s-proxy -',
      'k3s.registry_mirrors list registry-mirror -',
      'k3s.embedded_registry boolean embedded-registry -',
      'k3s.profile enum profile -',
      'k3s.traefik boolean traefik -',
      'k3s.ha boolean ha -',
      'k3s.cluster_cidr list cluster-cidr -',
      'k3s.service_cidr list service-cidr -',
      'k3s.tls_san list tls-san -',
      'k3s.server_address string server-address -',
      'k3s.node_name string node-name K3S_NODE_NAME',
      'k3s.node_labels list node-label -',
      'k3s.node_taints list node-taint -',
      'k3s.node_ip list node-ip -',
      'facts.metadata boolean - -',
      'snapshots.every string - -',
      'snapshots.keep integer - -',
      'snapshots.keep_for string - -',
      'snapshots.copy_to string - -',
      'snapshots.s3_endpoint string - -',
      'snapshots.s3_bucket string - -',
      'snapshots.s3_region string - -',
      'snapshots.s3_credentials_file string - -',
      'log.level enum log-level LOG_LEVEL',
      'log.format enum log-format -',
      'metrics.listen string - -',
      'metrics.client_ca_file string - -',
      'debug.profiling boolean - -',
      'traces.endpoint string - -',
      'traces.headers_file string - -',
      'traces.request_percent integer - -',
    ]);
  });

  test('tells all that help and documentation need of one setting', () => {
    expect(describeSettings().find(({ path }) => path === 'log.level')).toEqual({
      path: 'log.level',
      type: 'enum',
      values: ['error', 'warn', 'info', 'debug'],
      default: 'info',
      meta: expect.objectContaining({
        description: 'Least important level that is logged',
        flag: 'log-level',
        env: 'LOG_LEVEL',
        since: '0.1.0',
      }),
    });
  });

  test('gives no flag and no variable to two settings', () => {
    const names = describeSettings().flatMap(({ meta }) =>
      [meta.flag, meta.env].filter((name) => name !== undefined),
    );
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  test('holds nothing that is named like a secret', () => {
    const paths = describeSettings().map(({ path }) => path);
    expect(paths.filter((path) => /token|secret|password|key/.test(path))).toEqual([]);
  });

  test('describes each setting without a full stop, since a table shows it', () => {
    const descriptions = describeSettings().map(({ meta }) => meta.description);
    expect(descriptions.filter((text) => text === '' || text.endsWith('.'))).toEqual([]);
  });
});

test('no setting has a name that counts as a mistake in one that protects', () => {
  const settings = describeSettings().map(({ path, meta }) => {
    const [section = '', key = ''] = path.split('.');
    return { path, section, key, protects: meta.protects === true };
  });
  const near = settings
    .filter(({ protects }) => protects)
    .flatMap((one) =>
      settings
        .filter(({ section, path }) => section === one.section && path !== one.path)
        .filter(({ key }) => isMisspelling(key, one.key))
        .map(({ path }) => [one.path, path]),
    );
  expect(near).toEqual([]);
});
