/** Names only: they are offered where nothing else of a policy is needed. */
export const POLICY_PRESETS = ['read-only', 'standard', 'operate'] as const;
export type PolicyPreset = (typeof POLICY_PRESETS)[number];
