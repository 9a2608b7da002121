/** What the exit code of the program means. Which failure has which: errors.ts. */
export const EXIT_CODES: readonly { readonly code: number; readonly meaning: string }[] = [
  { code: 0, meaning: 'done' },
  { code: 1, meaning: 'a bug in the agent' },
  { code: 2, meaning: 'wrong usage' },
  { code: 3, meaning: 'configuration invalid' },
  { code: 4, meaning: 'this machine cannot do it now' },
  { code: 5, meaning: 'refused by the control plane or the cluster' },
  { code: 6, meaning: 'cannot reach something' },
  { code: 7, meaning: 'a tool that was run failed' },
  { code: 8, meaning: 'Kubernetes refused' },
  { code: 9, meaning: 'took too long' },
  { code: 10, meaning: 'local state damaged, or of a newer version' },
  { code: 11, meaning: 'a check failed' },
  { code: 129, meaning: 'interrupted' },
  { code: 130, meaning: 'interrupted' },
  { code: 143, meaning: 'interrupted' },
];
