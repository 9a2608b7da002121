/** Flags that several subcommands have. */

export const JSON_FLAG = {
  type: 'boolean',
  default: false,
  description: 'Print one JSON document',
} as const;
export const UNDO_FLAGS = {
  undo: {
    type: 'boolean',
    default: false,
    description: 'Take back an installation that never came to its end',
  },
  yes: { type: 'boolean', default: false, description: 'With --undo: do not ask' },
} as const;
/** docs/INSTALL.md, "Unattended". */
export const PROGRESS_FILE_FLAG = {
  type: 'string',
  description: 'Write each step there as a line of JSON, for programs that watch',
  valueHint: 'FILE',
} as const;
export const DRY_RUN_FLAG = {
  type: 'boolean',
  default: false,
  description: 'Print what would be done, and do nothing',
} as const;
export const BUNDLE_FLAG = {
  type: 'string',
  description: 'Take everything from this bundle, and nothing from a network (see: bundle create)',
  valueHint: 'FILE',
} as const;
export const OPEN_FIREWALL_FLAG = {
  type: 'boolean',
  description:
    'Have ufw or firewalld let through what a node needs, from private networks; uninstall takes it back',
} as const;
