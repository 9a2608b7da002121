import type { K3sState } from '../../host/k3s/state.ts';
import type { UpgradeHold } from '../../protocol/files/upgrade-hold.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import type { Seen } from './status-screen.ts';

/** Between two looks of --watch. */
const WATCH_INTERVAL_MS = 2_000;
/** To the upper left corner, and nothing below it (ECMA-48, CUP and ED). */
const CLEAR_SCREEN = '\u001b[H\u001b[J';

export const statusSubcommand = defineSubcommand({
  name: 'status',
  description:
    'Shows on one screen how the agent, its session, the cluster and its commands are, what is wrong and what to do.',
  example: 'sudo pipeops-agent status',
  flags: {
    watch: {
      type: 'boolean',
      default: false,
      description: 'Look again every 2 s until Ctrl-C; with --json a line each time',
    },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    if (flags.watch) {
      return watch(context, flags.json);
    }
    const seen = await look(context);
    context.io.stdout(
      flags.json ? jsonDocument<'status'>(document(seen)) : await screen(context, seen),
    );
    return 0;
  },
});

/** An agent that restarts is waited for: what it does meanwhile is what a person wants to see. */
async function watch(context: CliContext, json: boolean): Promise<number> {
  const { AgentError } = await import('../../core/errors.ts');
  const { renderErrorJson } = await import('../terminal/render.ts');
  const clear = context.io.columns === undefined ? '' : CLEAR_SCREEN;
  do {
    try {
      const seen = await look(context, 0);
      context.io.stdout(
        json ? `${JSON.stringify(document(seen))}\n` : clear + (await screen(context, seen)),
      );
    } catch (thrown) {
      if (!(thrown instanceof AgentError) || thrown.code !== 'DAEMON_UNREACHABLE') {
        throw thrown;
      }
      const line = JSON.stringify(JSON.parse(renderErrorJson(thrown)));
      context.io.stdout(json ? `${line}\n` : `${clear}${thrown.message} [${thrown.code}]\n`);
    }
  } while (await context.clock.sleep(WATCH_INTERVAL_MS, context.signal));
  return 0;
}

async function look(context: CliContext, patienceMs?: number): Promise<Seen> {
  const { askDaemon, askHealth, askTunnelStreams, askWorkloads } = await import(
    '../../machine/ask-daemon.ts'
  );
  const detailed = await askDaemon(context, patienceMs);
  const { readHold } = await import('../../host/agent/upgrade/hold.ts');
  const isServer = detailed.agent.role === 'server';
  const [health, workloads, tunnels, k3s, hold] = await Promise.all([
    known(askHealth(context)),
    detailed.ready && isServer ? known(askWorkloads(context)) : undefined,
    isServer ? known(askTunnelStreams(context)) : undefined,
    readK3s(context),
    known(readHold(context)),
  ]);
  return { detailed, health, workloads, tunnels, k3s, hold };
}

/** Only a part of the screen: what cannot be asked is left out. */
async function known<T>(answer: Promise<T>): Promise<T | undefined> {
  const { expectedError } = await import('../../core/errors.ts');
  return answer.catch((thrown) => {
    expectedError(thrown);
    return undefined;
  });
}

function document({ detailed, health, workloads, tunnels, k3s, hold }: Seen) {
  return {
    ...detailed,
    ...(health === undefined ? {} : { health }),
    ...(workloads === undefined ? {} : { workloads }),
    ...(tunnels === undefined ? {} : { tunnels: { open: tunnels.total, streams: tunnels.items } }),
    ...(k3s === undefined ? {} : { k3s }),
    ...(hold?.pin || hold?.paused_until ? { upgrades: holdFacts(hold) } : {}),
  };
}

function holdFacts({ pin, paused_until }: UpgradeHold) {
  return { pin, paused_until };
}

async function screen(context: CliContext, seen: Seen): Promise<string> {
  const { statusScreen } = await import('./status-screen.ts');
  return statusScreen(seen, { now: context.clock.now(), columns: context.io.columns });
}

/**
 * Asked by this program, because the daemon may not ask systemd. Undefined where systemd cannot be
 * asked.
 */
async function readK3s(context: CliContext): Promise<K3sState | undefined> {
  const { k3sState } = await import('../../host/k3s/state.ts');
  return known(k3sState(context));
}
