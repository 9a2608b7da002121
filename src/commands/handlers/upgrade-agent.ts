import { AgentError, assertNever } from '../../core/errors.ts';
import { BUILD } from '../../core/version.ts';
import {
  UpgradeAgentData,
  UpgradeAgentPayload,
  UpgradeBegun,
} from '../../protocol/commands/machine.ts';
import { UpgradeState } from '../../protocol/helper.ts';
import { type CommandContext, type CommandOutcome, commandHandler } from '../engine/handler.ts';
import { askHelperAndPerson, whenWithinWindow } from '../engine/helper.ts';

/** Every weekly window comes within it. */
const TIMEOUT_MS = 8 * 24 * 3_600_000;
/** Each question starts a process. */
const OUTCOME_POLL_MS = 1_000;
const USE = { type: 'upgrade_agent', hostVerb: 'upgrade_agent' } as const;

type Outcome = CommandOutcome<UpgradeAgentData>;

/**
 * upgrade_agent: a newer signed version of the agent takes over on this machine. The daemon fetches it, root's helper
 * checks it and starts the unit that changes the version, and the daemon that runs afterwards, whichever it is, tells
 * how that went: the helper knows it by the id of the command.
 */
export const upgradeAgentCommand = commandHandler({
  type: 'upgrade_agent',
  payload: UpgradeAgentPayload,
  data: UpgradeAgentData,
  priority: 'normal',
  lane: () => 'agent',
  timeoutMs: () => TIMEOUT_MS,
  afterRestart: 'rerun',
  run: async (payload, context) => {
    const begun = UpgradeBegun.safeParse(context.checkpoint).data;
    if (begun !== undefined && begun.node !== context.node) {
      throw new AgentError(
        'COMMAND_OUTCOME_UNKNOWN',
        `The agent of ${begun.node} was being changed to ${begun.version} when ${context.node} took the session over`,
        { hint: `It goes on there by itself. Look there: pipeops-agent status`, details: begun },
      );
    }
    const wanted = begun ?? (await fetched(payload, context));
    return wanted === undefined ? current(BUILD.version) : await change(wanted, context);
  },
});

/** @returns undefined where the version runs here already */
async function fetched(
  { version, channel, jitter_seconds }: UpgradeAgentPayload,
  context: CommandContext,
): Promise<UpgradeBegun | undefined> {
  const { clock, releases, signal } = context;
  const jitterMs = jitterOf(context.commandId, jitter_seconds * 1_000);
  if (jitterMs > 0) {
    const seconds = Math.ceil(jitterMs / 1_000);
    context.progress(`It begins in ${seconds} s, so that not all agents begin at once`);
    await clock.sleep(jitterMs, signal);
  }
  await whenWithinWindow(context, USE);
  context.progress('Ask for the release');
  const found = await releases.find({ version, channel }, signal);
  if (found.version === BUILD.version) {
    return undefined;
  }
  await found.stage((text) => context.progress(`Fetch ${found.version}: ${text}`), signal);
  const begun = { node: context.node, from: BUILD.version, version: found.version };
  await context.setCheckpoint(begun);
  return begun;
}

/** Another one for each command, and the same for each attempt. */
function jitterOf(commandId: string, maxMs: number): number {
  const hash = new Bun.CryptoHasher('sha256').update(commandId).digest();
  return Math.floor((hash.readUInt32BE(0) / 2 ** 32) * maxMs);
}

async function change({ version }: UpgradeBegun, context: CommandContext): Promise<Outcome> {
  const { askHelper, clock, commandId, signal } = context;
  const asked = { command_id: commandId };
  let state = UpgradeState.parse(
    await askHelper({ verb: 'upgrade_outcome', ...asked }, { signal }),
  );
  if (state.state === 'none') {
    const request = { verb: 'upgrade_agent' as const, ...asked, version };
    state = UpgradeState.parse(await askHelperAndPerson(context, USE, request));
  }
  while (state.state === 'under_way') {
    context.progress(`The change from ${state.from} to ${state.to} is under way`);
    if (!(await clock.sleep(OUTCOME_POLL_MS, signal))) {
      throw new AgentError('COMMAND_CANCELLED', 'the change goes on by itself');
    }
    state = UpgradeState.parse(await askHelper({ verb: 'upgrade_outcome', ...asked }, { signal }));
  }
  switch (state.state) {
    case 'none':
    case 'current':
      return current(version);
    case 'ended':
      return ended(state);
    default:
      return assertNever(state);
  }
}

function current(version: string): Outcome {
  return {
    output: `pipeops-agent ${version} runs here already`,
    data: { changed: false, from: version, version },
  };
}

function ended({
  outcome,
  from,
  to,
  why,
  took_ms,
}: Extract<UpgradeState, { state: 'ended' }>): Outcome {
  if (outcome === 'done') {
    const output = `pipeops-agent ${to} runs here now, in place of ${from}`;
    return { output, data: { changed: true, from, version: to, took_ms } };
  }
  const message =
    outcome === 'went-back'
      ? `${to} was not well here, and ${from} runs again: ${why}`
      : `Neither ${to} nor ${from} is well here: ${why}`;
  return {
    output: message,
    data: { changed: false, from, version: from, took_ms },
    failure: new AgentError('UPGRADE_FAILED', message, {
      hint: 'Look there: journalctl -u pipeops-agent',
    }),
  };
}
