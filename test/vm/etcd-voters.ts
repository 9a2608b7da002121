/** Who votes in the etcd of a cluster of several servers, as etcd itself says. */

import type { Machine } from './machine.ts';

const TLS = '/var/lib/rancher/k3s/server/tls/etcd';

/** The nodes whose members vote, sorted, asked on one of the servers; none while its etcd does not answer. */
export async function voters(server: Machine): Promise<readonly string[]> {
  const { stdout } = await server.exec(
    [
      ...['curl', '-fsS', '-m', '10', '-X', 'POST', '-d', '{}', '--cacert', `${TLS}/server-ca.crt`],
      ...['--cert', `${TLS}/client.crt`, '--key', `${TLS}/client.key`],
      'https://127.0.0.1:2382/v3/cluster/member/list',
    ],
    { check: false },
  );
  const { members } = JSON.parse(stdout === '' ? '{"members":[]}' : stdout) as {
    readonly members: readonly { readonly name?: string; readonly isLearner?: boolean }[];
  };
  return members
    .filter(({ isLearner }) => isLearner !== true)
    .map(({ name = '' }) => name.replace(/-[0-9a-f]{8}$/, ''))
    .sort();
}
