import { adviceOf } from '../../host/checks/run.ts';
import type { HostFacts } from '../../protocol/host-facts.ts';
import type { MachineContext } from '../context.ts';
import { diagnose } from '../doctor.ts';
import { noteDiskSample } from './disk-samples.ts';
import { k3sUpkeep } from './k3s-upkeep.ts';
import { ROOTS_CHECKS } from './roots-checks.ts';

/** @throws AgentError CONFIG_INVALID, INTERRUPTED */
export async function hostFacts(context: MachineContext): Promise<HostFacts> {
  await noteDiskSample(context);
  const { results } = await diagnose(context, { flags: {} }, (check) =>
    ROOTS_CHECKS.includes(check),
  );
  return {
    findings: results.flatMap(({ id, outcome }) => {
      if (outcome.state !== 'found') {
        return [];
      }
      const { code, message } = outcome.finding;
      return [{ check: id, code, message, hint: adviceOf(outcome.finding) }];
    }),
    k3s: await k3sUpkeep(context),
  };
}
