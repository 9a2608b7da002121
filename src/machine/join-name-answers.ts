/** What to do where the cluster knows a node of that name already. */
export const NAME_TAKEN_ANSWERS = ['abort', 'rename', 'reuse'] as const;
export type NameTakenAnswer = (typeof NAME_TAKEN_ANSWERS)[number];
