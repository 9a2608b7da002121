import { readCloudFacts } from '../host/cloud/facts.ts';
import type { MachineContext } from './context.ts';
import { loadEffectiveConfig } from './effective-config.ts';

/** Where this machine runs, for a person; what is not known is null. */
export interface MachineCloud {
  /** `aws`, `hetzner`, `bare-metal`, … */
  readonly provider: string;
  readonly region: string | null;
  readonly zone: string | null;
  readonly instance_id: string | null;
  readonly instance_type: string | null;
  readonly public_address: string | null;
}

/** @returns null where the firmware names no cloud. @throws AgentError CONFIG_INVALID */
export async function readMachineCloud(context: MachineContext): Promise<MachineCloud | null> {
  const { config } = await loadEffectiveConfig(context, {});
  const facts = await readCloudFacts(context, config.facts.metadata, context.signal);
  return facts.provider === undefined
    ? null
    : {
        provider: facts.provider,
        region: facts.region ?? null,
        zone: facts.zone ?? null,
        instance_id: facts.instanceId ?? null,
        instance_type: facts.instanceType ?? null,
        public_address: facts.publicAddress ?? null,
      };
}
