import type { FlagDocument } from '../help/document.ts';

/** Whether the shell's own completion of files fits. */
export function takesFile({ value_hint }: FlagDocument): boolean {
  return value_hint === 'FILE';
}
