import { didYouMean } from '../core/did-you-mean.ts';
import { AgentError } from '../core/errors.ts';
import { POLICY_PRESETS, PolicyFile } from '../protocol/policy-file.ts';

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
