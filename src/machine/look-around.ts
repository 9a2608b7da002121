import type { Config } from '../config/schema.ts';
import { expectedError, isErrorCode } from '../core/errors.ts';
import { helperClient } from '../host/agent/ask-helper.ts';
import type { CheckResult } from '../host/checks/run.ts';
import { HostFacts } from '../protocol/helper.ts';
import type { MachineContext } from './context.ts';
import { lookQuickly } from './doctor.ts';

type Looked = Pick<CheckResult, 'id' | 'outcome'>;

/** What is wrong with this machine, as the daemon sees it, and what root's helper sees besides. */
export async function lookAround(
  context: MachineContext,
  config: Config,
): Promise<readonly Looked[]> {
  const [own, roots] = await Promise.all([lookQuickly(context, config), askRoot(context)]);
  return [...own, ...roots];
}

async function askRoot(context: MachineContext): Promise<readonly Looked[]> {
  try {
    const answer = await helperClient(context)({ verb: 'host_facts' }, { signal: context.signal });
    return HostFacts.parse(answer).findings.map(({ check, code, message, hint }) => ({
      id: check,
      outcome: {
        state: 'found',
        finding: { code: isErrorCode(code) ? code : 'CHECK_FAILED', message, hint },
      },
    }));
  } catch (thrown) {
    // Where no systemd runs the agent there is no helper: then this is not looked at.
    context.log.debug('root was not asked', { error_code: expectedError(thrown).code });
    return [];
  }
}
