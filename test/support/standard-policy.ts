import { effectivePolicy } from '../../src/policy/effective.ts';
import { policyOf } from '../../src/policy/evaluate.ts';
import { PolicyFile } from '../../src/protocol/files/policy.ts';

/** The policy where root has written none. */
export const STANDARD_POLICY = policyOf(effectivePolicy(PolicyFile.parse({})));
