import { AgentError, expectedError } from '../../core/errors.ts';
import {
  K3sUpgradeBegun,
  UpgradeK3sData,
  UpgradeK3sPayload,
} from '../../protocol/commands/machine.ts';
import { LedK3s, type LedNode } from '../../protocol/helper.ts';
import { readCheckpoint } from '../engine/checkpoint.ts';
import { type CommandContext, type CommandOutcome, commandHandler } from '../engine/handler.ts';
import { askHelperAndPerson, whenWithinWindow } from '../engine/helper.ts';

/** Every weekly window comes within it. */
const TIMEOUT_MS = 8 * 24 * 3_600_000;
/** Each question starts a process. */
const LOOK_INTERVAL_MS = 5_000;
/** While k3s restarts nothing is known of the cluster. */
const UNKNOWN_LIMIT_MS = 15 * 60_000;
/** A node looks once a minute. */
const ASKED_LIMIT_MS = 5 * 60_000;
/** Moving pods, a download, and both versions may each take their time. */
const BEGUN_LIMIT_MS = 60 * 60_000;
const USE = { type: 'upgrade_k3s', hostVerb: 'upgrade_k3s' } as const;

type Led = Extract<LedK3s, { state: 'led' }>;

/**
 * upgrade_k3s: a newer k3s on all nodes of the cluster, or on one, one after the other. Root's helper checks it and asks
 * the nodes, each of which carries it out by itself. How far it is stands in the cluster, so it goes on after the
 * restart of k3s and of the daemon, and on another server.
 */
export const upgradeK3sCommand = commandHandler({
  type: 'upgrade_k3s',
  payload: UpgradeK3sPayload,
  data: UpgradeK3sData,
  priority: 'normal',
  lane: () => 'k3s',
  timeoutMs: () => TIMEOUT_MS,
  afterRestart: 'rerun',
  run: async (payload, context) => {
    const { channel, node, drain } = payload;
    const begun = readCheckpoint(K3sUpgradeBegun, context);
    const to = begun?.to ?? payload.version ?? (await newest(context, channel));
    if (begun === undefined) {
      // What the channel stands at may change while this waits.
      const checkpoint: K3sUpgradeBegun = { to };
      await context.setCheckpoint(checkpoint);
    }
    const request = {
      ...{ verb: 'upgrade_k3s' as const, command_id: context.commandId, version: to, drain },
      ...(node === undefined ? {} : { node }),
    };
    const known = await patiently(context, () => look(context));
    const led =
      known.state === 'led'
        ? known
        : await (begun === undefined
            ? askHelperAndPerson(context, USE, request).then(ledOf)
            : patiently(context, () => askHelperAndPerson(context, USE, request).then(ledOf)));
    return await lead(context, led);
  },
});

async function newest(context: CommandContext, channel: string): Promise<string> {
  await whenWithinWindow(context, USE);
  context.progress(`Ask for the k3s of the channel ${channel}`);
  return await context.newestK3s(channel, context.signal);
}

/** Node by node. */
async function lead(context: CommandContext, first: Led): Promise<CommandOutcome<UpgradeK3sData>> {
  const { clock, signal, commandId } = context;
  let led = first;
  let seen = { what: '', at: clock.monotonic() };
  for (;;) {
    const failed = led.nodes.find(({ state }) => state === 'failed');
    const current = led.nodes.find(({ state }) => state === 'asked' || state === 'begun');
    if (failed !== undefined) {
      return stopped(led, `${failed.node} says: ${failed.why}`);
    }
    if (current === undefined && !led.nodes.some(({ state }) => state === 'waits')) {
      return ended(led);
    }
    if (current === undefined) {
      if (signal.aborted) {
        throw halted(led);
      }
      const request = { verb: 'upgrade_k3s_next' as const, command_id: commandId };
      led = ledOf(await patiently(context, () => askHelperAndPerson(context, USE, request)));
      continue;
    }
    const what = `${current.node} ${current.state}`;
    seen = seen.what === what ? seen : { what, at: clock.monotonic() };
    const limitMs = current.state === 'asked' ? ASKED_LIMIT_MS : BEGUN_LIMIT_MS;
    if (clock.monotonic() - seen.at > limitMs) {
      return stopped(led, lateText(current));
    }
    tell(context, led, current);
    if (!(await clock.sleep(LOOK_INTERVAL_MS, signal))) {
      throw halted(led);
    }
    led = ledOf(await patiently(context, () => look(context)));
  }
}

async function look({ askHelper, commandId, signal }: CommandContext): Promise<LedK3s> {
  const request = { verb: 'upgrade_k3s_state' as const, command_id: commandId };
  return LedK3s.parse(await askHelper(request, { signal }));
}

/** What was allowed here is not forgotten while its command runs. */
function ledOf(answer: unknown): Led {
  const led = LedK3s.parse(answer);
  if (led.state === 'none') {
    throw new AgentError(
      'COMMAND_OUTCOME_UNKNOWN',
      'Another upgrade of k3s was allowed meanwhile',
      {
        hint: 'Look which k3s the nodes run, then send a new command if need be',
      },
    );
  }
  return led;
}

/** While the API or its server restarts it is asked again. */
async function patiently<T>(context: CommandContext, ask: () => Promise<T>): Promise<T> {
  const { clock, signal } = context;
  const startedAt = clock.monotonic();
  for (;;) {
    try {
      return await ask();
    } catch (thrown) {
      const error = expectedError(thrown);
      const isOver = clock.monotonic() - startedAt > UNKNOWN_LIMIT_MS;
      if (!error.retryable || isOver || !(await clock.sleep(LOOK_INTERVAL_MS, signal))) {
        throw error;
      }
    }
  }
}

function tell(context: CommandContext, { to, nodes }: Led, current: LedNode): void {
  const done = nodes.filter(isOver).length;
  const how = current.state === 'asked' ? 'asked; a node looks once a minute' : 'under way';
  const message = `k3s ${to} on ${current.node}: ${how} (${done} of ${nodes.length} nodes done)`;
  context.progress(message, { node: current.node, done, of: nodes.length });
}

function lateText({ node, state }: LedNode): string {
  return state === 'asked'
    ? `${node} has not begun; its agent may be stopped, or an older one`
    : `${node} has not ended`;
}

const isOver = ({ state }: LedNode) => state === 'done' || state === 'gone';

function dataOf({ to, nodes }: Led): UpgradeK3sData {
  return { version: to, nodes: nodes.map((each) => ({ ...each })) };
}

function ended(led: Led): CommandOutcome<UpgradeK3sData> {
  const { to, nodes } = led;
  const lines = nodes.map(({ node, from, state }) =>
    state === 'gone' ? `${node} is gone` : `${node}: k3s ${to} in place of ${from}`,
  );
  const output = nodes.length === 0 ? `k3s ${to} runs already` : lines.join('\n');
  return { output, data: dataOf(led) };
}

function stopped(led: Led, why: string): CommandOutcome<UpgradeK3sData> {
  const message = `The upgrade to k3s ${led.to} stopped: ${why}`;
  return {
    output: message,
    data: dataOf(led),
    failure: new AgentError('UPGRADE_FAILED', message, {
      hint: 'See there: journalctl -u pipeops-agent-k3s-upgrade. Mend it, then send a new command: it goes on there',
    }),
  };
}

/** A node that has begun goes on; no other one begins. */
function halted(led: Led): AgentError {
  const current = led.nodes.find(({ state }) => state === 'asked' || state === 'begun');
  const done = led.nodes.filter(isOver).length;
  const goesOn = current === undefined ? '' : `; ${current.node} goes on by itself`;
  return new AgentError(
    'COMMAND_CANCELLED',
    `${done} of ${led.nodes.length} nodes have k3s ${led.to}${goesOn}`,
    { details: { ...dataOf(led) } },
  );
}
