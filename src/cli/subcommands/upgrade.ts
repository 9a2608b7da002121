import { resolve } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import type { UpgradeOutcome } from '../../machine/upgrade/upgrade.ts';
import type { UpgradeResult } from '../../protocol/files/upgrade.ts';
import type { UpgradeHold } from '../../protocol/files/upgrade-hold.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import { readDuration } from '../definition/read-duration.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';

const VERSION_PATTERN = /^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/;
/** Whoever wants more pins the version. */
const PAUSE_RANGE = { minMs: 0, maxMs: 90 * 24 * 3_600_000, example: '7d' };
const CHANNEL_PATTERN = /^[a-z][a-z0-9-]{0,31}$/;

export const upgradeSubcommand = defineSubcommand({
  name: 'upgrade',
  description:
    'Brings the agent to a newer version: checks its signature, tries it on a copy of the state, switches, and goes back by itself if it is not well.',
  example: 'sudo pipeops-agent upgrade',
  flags: {
    to: {
      type: 'string',
      description: 'This version; the newest of the channel when absent',
      valueHint: 'VERSION',
    },
    channel: {
      type: 'string',
      default: 'stable',
      description: 'Whose newest version is meant',
      valueHint: 'NAME',
    },
    bundle: {
      type: 'string',
      description: 'Take it from this bundle, and from no network',
      valueHint: 'FILE',
    },
    check: {
      type: 'boolean',
      default: false,
      description: 'Only say whether there is a newer version',
    },
    pin: {
      type: 'string',
      description: 'Only keep this machine at this version: upgrades to others are refused',
      valueHint: 'VERSION',
    },
    unpin: { type: 'boolean', default: false, description: 'Only take that back' },
    pause: {
      type: 'string',
      description: 'Only refuse upgrades by the control plane for so long, at most 90d; 0s ends it',
      valueHint: 'DURATION',
    },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const wanted = wantedHold(context.clock.now(), flags);
    if (wanted !== undefined) {
      const { changeHold, holdText } = await import('../../host/agent/upgrade/hold.ts');
      const hold = await changeHold(context, wanted);
      const text = holdText(hold, context.clock.now()) ?? 'neither pinned nor paused';
      const { pin, paused_until } = hold;
      const document = jsonDocument<'upgrade'>({ pin, paused_until });
      context.io.stdout(flags.json ? document : `Upgrades: ${text}\n`);
      return 0;
    }
    const { upgradeAgent } = await import('../../machine/upgrade/upgrade.ts');
    const outcome = await upgradeAgent(context, {
      version: matching('--to', flags.to, VERSION_PATTERN),
      channel: matching('--channel', flags.channel, CHANNEL_PATTERN) ?? 'stable',
      bundle: flags.bundle === undefined ? undefined : resolve(flags.bundle),
      isCheck: flags.check,
    });
    context.io.stdout(flags.json ? outcomeJson(outcome) : outcomeText(outcome));
    return 0;
  },
});

export const rollbackSubcommand = defineSubcommand({
  name: 'rollback',
  description:
    'Goes back to the version of the agent that was here before; if that one is not well, the present one runs again.',
  example: 'sudo pipeops-agent rollback',
  flags: {
    to: {
      type: 'string',
      description: 'This version, of those that are still here',
      valueHint: 'VERSION',
    },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const { rollBackAgent } = await import('../../machine/upgrade/upgrade.ts');
    const result = await rollBackAgent(context, matching('--to', flags.to, VERSION_PATTERN));
    const outcome = { kind: 'changed', result } as const;
    context.io.stdout(flags.json ? outcomeJson(outcome) : outcomeText(outcome));
    return 0;
  },
});

interface HoldFlags {
  readonly pin?: string | undefined;
  readonly unpin: boolean;
  readonly pause?: string | undefined;
}

/** @returns undefined where an upgrade is meant. @throws AgentError USAGE */
function wantedHold(
  now: Date,
  { pin, unpin, pause }: HoldFlags,
): Partial<Pick<UpgradeHold, 'pin' | 'paused_until'>> | undefined {
  if (pin !== undefined && unpin) {
    throw new AgentError('USAGE', '--pin and --unpin say the opposite of each other', {
      hint: 'Give one of them',
    });
  }
  const pinned = matching('--pin', pin, VERSION_PATTERN);
  const pauseMs = pause === undefined ? undefined : readDuration('pause', pause, PAUSE_RANGE);
  const until = pauseMs ? new Date(now.getTime() + pauseMs).toISOString() : null;
  const wanted = {
    ...(pinned === undefined ? {} : { pin: pinned }),
    ...(unpin ? { pin: null } : {}),
    ...(pauseMs === undefined ? {} : { paused_until: until }),
  };
  return Object.keys(wanted).length === 0 ? undefined : wanted;
}

/** It becomes part of paths and addresses. */
function matching(flag: string, value: string | undefined, pattern: RegExp): string | undefined {
  if (value !== undefined && !pattern.test(value)) {
    throw new AgentError('USAGE', `${flag} "${value}" is not possible`, {
      hint: 'Give it as it is written in releases, for example 0.2.0 or stable',
    });
  }
  return value;
}

/** The promise behind `--json`. */
function outcomeJson(outcome: UpgradeOutcome): string {
  const told =
    outcome.kind === 'changed'
      ? ofResult(outcome.result)
      : {
          changed: false as const,
          from: outcome.kind === 'current' ? outcome.version : outcome.from,
          version: outcome.version,
        };
  return jsonDocument<'rollback'>(told);
}

function ofResult({ from, to, kind, took_ms }: UpgradeResult) {
  return { changed: true as const, kind, from, version: to, took_ms };
}

function outcomeText(outcome: UpgradeOutcome): string {
  switch (outcome.kind) {
    case 'current':
      return `pipeops-agent ${outcome.version} is the newest version, and runs here\n`;
    case 'available':
      return `${outcome.version} is there, and ${outcome.from} runs here: sudo pipeops-agent upgrade\n`;
    case 'changed': {
      const { from, to, took_ms } = outcome.result;
      const seconds = (took_ms / 1_000).toFixed(1);
      return `pipeops-agent ${to} runs here now, in place of ${from} (${seconds} s). To go back: sudo pipeops-agent rollback\n`;
    }
  }
}
