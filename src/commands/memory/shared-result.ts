import type { CommandResult } from '../../protocol/rest.ts';

/**
 * A result as the cluster remembers it: without the field that servers of earlier versions do not know. Those pass over
 * a command in a list whose result has it, and would run a duplicate of that command.
 */
export function sharedResult({ traceparent: _, ...result }: CommandResult): CommandResult {
  return result;
}
