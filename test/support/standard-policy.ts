import { effectivePolicy } from '../../src/policy/effective-policy.ts';
import { policyOf } from '../../src/policy/evaluate.ts';
import { PolicyFile } from '../../src/protocol/policy-file.ts';

/** The policy where root has written none. */
export const STANDARD_POLICY = policyOf(effectivePolicy(PolicyFile.parse({})));
