/** Flags that several subcommands have. */
import type { FlagDefinition } from './subcommand.ts';

export const JSON_FLAG: FlagDefinition = {
  type: 'boolean',
  description: 'Print one JSON document',
};
export const DRY_RUN_FLAG: FlagDefinition = {
  type: 'boolean',
  description: 'Print what would be done, and do nothing',
};
