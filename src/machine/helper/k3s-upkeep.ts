import { ADOPTED } from '../../host/cluster/adopted-k3s.ts';
import { openInventory } from '../../host/engine/inventory.ts';
import { type Facts, factsOf, type Subject } from '../../host/facts/fact.ts';
import { k3sCertificates } from '../../host/facts/k3s-certificates.ts';
import { restartReason } from '../../host/facts/restart-reason.ts';
import type { K3sUpkeep } from '../../protocol/host-facts.ts';
import type { MachineContext } from '../context.ts';
import { loadEffectiveConfig } from '../effective-config.ts';
import { factDeps } from '../fact-deps.ts';

/** What is known of k3s on this machine; undefined where it is none of ours: a k3s that was adopted is never changed. */
export interface OwnK3s {
  readonly role: Subject['k3sRole'];
  readonly facts: Facts;
}

/** @throws AgentError CONFIG_INVALID, FILE_ACCESS */
export async function ownK3s(context: MachineContext): Promise<OwnK3s | undefined> {
  const inventory = await openInventory(context);
  const isServer = inventory.has('k3s', 'server');
  if (inventory.has(ADOPTED.kind, ADOPTED.name) || !(isServer || inventory.has('k3s', 'agent'))) {
    return undefined;
  }
  const { config } = await loadEffectiveConfig(context, {});
  const subject: Subject = isServer
    ? { role: 'server', k3sRole: 'server', config }
    : { role: 'worker', k3sRole: 'agent', config };
  return { role: subject.k3sRole, facts: factsOf(factDeps(context, subject)) };
}

/** What k3s needs of this machine's root, without changing anything. @throws AgentError as `ownK3s` */
export async function k3sUpkeep(context: MachineContext): Promise<K3sUpkeep> {
  const k3s = await ownK3s(context);
  if (k3s === undefined) {
    return { restart: null, authority_ends: null };
  }
  const authorities = (await k3s.facts(k3sCertificates)).filter(({ isAuthority }) => isAuthority);
  const ends = authorities.map(({ endsAt }) => endsAt.getTime());
  return {
    restart: (await k3s.facts(restartReason)) ?? null,
    authority_ends: ends.length === 0 ? null : new Date(Math.min(...ends)).toISOString(),
  };
}
