/** The servers' shared data: etcd of k3s, asked on a server itself. */
import { textWithin } from '../../core/bounded-body.ts';
import { AgentError } from '../../core/errors.ts';
import { firstAnswer } from '../../core/first-answer.ts';
import { K3S_ETCD_DIRECTORY, K3S_ETCD_TLS } from '../../core/k3s-places.ts';
import { ETCD_HTTP_URLS } from '../../core/k3s-ports.ts';
import type { Clock, Files, Http } from '../../core/ports.ts';
import { troubleOf } from '../../core/trouble.ts';
import { within } from '../../core/waiting.ts';
import { EtcdMemberList } from '../../protocol/etcd.ts';

/** Without it one member tells what it knows by itself (etcd.io, "MemberListRequest"). */
const AGREED = JSON.stringify({ linearizable: true });
const ASK_TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 256 * 1024;

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly http: Http;
  readonly signal: AbortSignal;
}

export interface EtcdMember {
  /** The name of its node; empty until it has started for the first time. */
  readonly node: string;
  /** It has the data, and counts when most must agree. */
  readonly votes: boolean;
}

/** Whether this server keeps the cluster's data in etcd. */
export async function hasEtcd({ files }: Pick<Deps, 'files'>): Promise<boolean> {
  return (await files.stat(K3S_ETCD_DIRECTORY)) !== undefined;
}

/**
 * All members. To answer, etcd must have asked most of them.
 * @throws AgentError SERVERS_NOT_READY where it does not answer
 */
export async function etcdMembers(deps: Deps): Promise<readonly EtcdMember[]> {
  const [ca, cert, key] = await Promise.all([
    deps.files.readText(K3S_ETCD_TLS.ca),
    deps.files.readText(K3S_ETCD_TLS.certificate),
    deps.files.readText(K3S_ETCD_TLS.key),
  ]);
  try {
    return await within(deps.clock, ASK_TIMEOUT_MS, deps.signal, async (signal) => {
      const tls = { ca: ca ?? '', cert: cert ?? '', key: key ?? '' };
      const init = { method: 'POST', body: AGREED, tls, signal } as const;
      const response = await firstAnswer(ETCD_HTTP_URLS, (url) =>
        deps.http(`${url}/v3/cluster/member/list`, init),
      );
      const text = (await textWithin(response, ANSWER_BYTES_MAX)) ?? '';
      const { members } = EtcdMemberList.parse(JSON.parse(text));
      // k3s gives each the name of its node and eight digits of its own.
      return members.map(({ name, isLearner }) => ({
        node: name.replace(/-[0-9a-f]{8}$/, ''),
        votes: !isLearner,
      }));
    });
  } catch (thrown) {
    throw new AgentError('SERVERS_NOT_READY', `etcd does not answer here: ${troubleOf(thrown)}`, {
      hint: 'Most of the servers must run: sudo k3s kubectl get nodes; here: systemctl status k3s',
      cause: thrown,
    });
  }
}
