import { PolicyFile } from '../protocol/policy-file.ts';
import { effectivePolicy } from './effective-policy.ts';
import { policyOf } from './evaluate.ts';

/** The policy where root has written none. */
export const STANDARD_POLICY = policyOf(effectivePolicy(PolicyFile.parse({})));
