import type { z } from 'zod';
import { AgentError } from '../core/errors.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';

/** What every handler may use. */
export interface CommandDeps {
  readonly clock: Clock;
  readonly kubernetes: KubernetesClient;
}

/** One attempt at one command. */
export interface CommandContext extends CommandDeps {
  readonly commandId: string;
  /** Aborts at the deadline and when the daemon stops. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** What an earlier attempt noted with `setCheckpoint`. */
  readonly checkpoint: unknown;
  /** Notes, durably and before the effect, what a later attempt must know. JSON. */
  setCheckpoint(value: unknown): void;
}

export interface CommandOutcome<Data> {
  /** For people. */
  readonly output: string;
  readonly data: Data;
  /** Set when it went wrong although there is data to tell. */
  readonly failure?: AgentError;
}

/** What a file in handlers/ exports. */
export interface CommandDefinition<Payload, Data> {
  /** The command type on the wire. */
  readonly type: string;
  readonly payload: z.ZodType<Payload>;
  readonly data: z.ZodType<Data>;
  /** Commands of the same lane never run at once: `ns/<namespace>`, `k3s`, `agent`. */
  lane(payload: Payload): string;
  /** Time it may take unless the command says otherwise. */
  timeoutMs(payload: Payload): number;
  /** What becomes of it when the daemon died meanwhile. */
  readonly afterRestart: 'rerun' | 'fail';
  run(payload: Payload, context: CommandContext): Promise<CommandOutcome<Data>>;
}

/** A command whose payload has been checked. */
export interface PreparedCommand {
  readonly lane: string;
  readonly timeoutMs: number;
  readonly run: (context: CommandContext) => Promise<CommandOutcome<Record<string, unknown>>>;
}

/** A definition without its types, so that all fit into one registry. */
export interface CommandHandler {
  readonly type: string;
  readonly afterRestart: 'rerun' | 'fail';
  /** @throws AgentError COMMAND_INVALID with every problem of the payload */
  prepare(payload: unknown): PreparedCommand;
}

export function commandHandler<Payload, Data extends Record<string, unknown>>(
  definition: CommandDefinition<Payload, Data>,
): CommandHandler {
  return {
    type: definition.type,
    afterRestart: definition.afterRestart,
    prepare: (raw) => {
      const parsed = definition.payload.safeParse(raw ?? {});
      if (!parsed.success) {
        throw invalidPayload(definition.type, parsed.error.issues);
      }
      const payload = parsed.data;
      return {
        lane: definition.lane(payload),
        timeoutMs: definition.timeoutMs(payload),
        run: async (context) => {
          const outcome = await definition.run(payload, context);
          // A result that breaks its promise is a bug of ours: parse throws, the result says so.
          return { ...outcome, data: definition.data.parse(outcome.data) };
        },
      };
    },
  };
}

function invalidPayload(type: string, issues: readonly z.core.$ZodIssue[]): AgentError {
  const problems = issues.map((issue) => `${issue.path.join('.') || 'payload'}: ${issue.message}`);
  return new AgentError('COMMAND_INVALID', `Cannot run "${type}": ${problems.join('; ')}`, {
    hint: 'Correct the payload; docs/COMMANDS.md lists the fields',
    details: { problems },
  });
}
