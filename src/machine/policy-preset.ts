import { AgentError } from '../core/errors.ts';
import { didYouMean } from '../core/text/did-you-mean.ts';
import { PolicyFile } from '../protocol/files/policy.ts';
import { POLICY_PRESETS } from '../protocol/files/policy-presets.ts';

/** @throws AgentError USAGE with a suggestion */
export function policyOfPreset(name: string): PolicyFile {
  const preset = POLICY_PRESETS.find((each) => each === name);
  if (preset === undefined) {
    const suggestion = didYouMean(name, POLICY_PRESETS);
    throw new AgentError('USAGE', `There is no preset "${name}"`, {
      hint:
        suggestion === undefined
          ? `Use one of: ${POLICY_PRESETS.join(', ')}`
          : `Did you mean "${suggestion}"? There are: ${POLICY_PRESETS.join(', ')}`,
    });
  }
  return PolicyFile.parse({ preset });
}
