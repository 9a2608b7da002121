import type { z } from 'zod';
import { AgentError } from '../../core/errors.ts';
import type { Clock, Log, WorkElsewhere } from '../../core/ports.ts';
import { issueWords } from '../../core/text/issue-words.ts';
import type { AskHelper } from '../../host/agent/ask-helper.ts';
import type { OpenChannels } from '../../kubernetes/api/channel-stream.ts';
import type { KubernetesClient } from '../../kubernetes/api/client.ts';
import type { Policy } from '../../policy/decision.ts';
import type { ClusterStatus } from '../../protocol/rest.ts';

/** @throws AgentError RELEASE_UNTRUSTED, RELEASE_EXPIRED, RELEASE_REFUSED, DOWNLOAD_FAILED, DOWNLOAD_CORRUPT … */
export interface Releases {
  /** One that may follow the running version, or is that. @param wanted the newest of the channel without a version */
  find(
    wanted: { readonly version: string | undefined; readonly channel: string },
    signal: AbortSignal,
  ): Promise<{
    readonly version: string;
    /** Puts it where root's helper looks for it. @param update hears how far it is */
    stage(update: (text: string) => void, signal: AbortSignal): Promise<void>;
  }>;
}

/** The token by which the control plane knows this agent. A text of them is a secret. */
export interface OwnToken {
  /** '' where there is none. */
  inUse(): string;
  /** The one that the control plane is known to take, while another is tried; else the one in use. */
  settled(): string;
  /** Uses another one from now on, for the time being. @throws AgentError FILE_ACCESS, DISK_FULL */
  begin(token: string): Promise<void>;
  /** Uses the one before again; nothing where none is tried. @throws AgentError FILE_ACCESS, DISK_FULL */
  goBack(): Promise<void>;
}

/** What every handler may use. */
export interface CommandDeps {
  readonly clock: Clock;
  readonly kubernetes: KubernetesClient;
  /** Streams into pods. */
  readonly openChannels: OpenChannels;
  /**
   * The whole cluster as it is reported. Waits for what is not known yet, within reason.
   * @throws AgentError KUBERNETES_API when nothing at all is known of it
   */
  readonly clusterStatus: (signal: AbortSignal) => Promise<ClusterStatus>;
  /** What needs root on this machine. */
  readonly askHelper: AskHelper;
  /** Releases of the agent itself. */
  readonly releases: Releases;
  readonly ownToken: OwnToken;
  /** The k3s that a channel stands at. @throws AgentError DOWNLOAD_FAILED, HOST_UNSUPPORTED */
  readonly newestK3s: (channel: string, signal: AbortSignal) => Promise<string>;
  /** What this machine is called in the cluster. */
  readonly node: string;
  /** For work that would block the event loop. */
  readonly workElsewhere: WorkElsewhere;
  /**
   * The executor has already asked it about the type and the namespace; handlers ask about what
   * they find.
   */
  readonly policy: Policy;
}

/** One attempt at one command. */
export interface CommandContext extends CommandDeps {
  readonly commandId: string;
  /** Aborts at the deadline, at a cancel and when the daemon stops. */
  readonly signal: AbortSignal;
  /** Aborts only when the daemon stops: then the command is taken up again at the next start. */
  readonly stopping: AbortSignal;
  readonly log: Log;
  /** What an earlier attempt noted with `setCheckpoint`. */
  readonly checkpoint: unknown;
  /**
   * Notes what a later attempt must know, as JSON. Durable when it resolves: await it before the
   * effect.
   */
  setCheckpoint(value: unknown): Promise<void>;
  /** Tells those who wait how far it got: one short sentence, and facts for machines. */
  progress(message: string, data?: Readonly<Record<string, unknown>>): void;
}

export interface CommandOutcome<Data> {
  /** For people. */
  readonly output: string;
  readonly data: Data;
  /** Secrets that the command asked for: they stand in the data of its result, and nowhere else. */
  readonly revealed?: Readonly<Record<string, string>>;
  /** Set when the command failed although there is data to report. */
  readonly failure?: AgentError;
  /** The handler has cut some of it already. */
  readonly truncated?: boolean;
}

/** What a file in handlers/ exports. */
export interface CommandDefinition<Payload, Data> {
  /** The command type on the wire. */
  readonly type: string;
  readonly payload: z.ZodType<Payload>;
  readonly data: z.ZodType<Data>;
  /** Commands of the same lane never run at once: `ns/<namespace>`, `k3s`, `agent`. */
  lane(payload: Payload): string;
  /** The namespace it works in, for the policy; absent when it names none or several. */
  namespace?(payload: Payload): string | undefined;
  /** `urgent` ones do not wait behind others: reading and stopping. */
  readonly priority: 'urgent' | 'normal';
  /** Time it may take unless the command says otherwise. */
  timeoutMs(payload: Payload): number;
  /** What happens to it when the daemon died while it ran. */
  readonly afterRestart: 'rerun' | 'fail';
  run(payload: Payload, context: CommandContext): Promise<CommandOutcome<Data>>;
}

/** A command whose payload has been checked. */
export interface PreparedCommand {
  /** The namespace that the policy is asked about. */
  readonly namespace: string | undefined;
  readonly lane: string;
  readonly timeoutMs: number;
  readonly run: (context: CommandContext) => Promise<CommandOutcome<Record<string, unknown>>>;
}

/** A definition without its types, so that all fit into one registry. */
export interface CommandHandler {
  readonly type: string;
  readonly afterRestart: 'rerun' | 'fail';
  readonly priority: 'urgent' | 'normal';
  /** @throws AgentError COMMAND_INVALID with every problem of the payload */
  prepare(payload: unknown): PreparedCommand;
}

export function commandHandler<Payload, Data extends Record<string, unknown>>(
  definition: CommandDefinition<Payload, Data>,
): CommandHandler {
  return {
    type: definition.type,
    afterRestart: definition.afterRestart,
    priority: definition.priority,
    prepare: (raw) => {
      const parsed = definition.payload.safeParse(raw ?? {}, { error: issueWords });
      if (!parsed.success) {
        throw invalidPayload(definition.type, parsed.error.issues);
      }
      const payload = parsed.data;
      return {
        namespace: definition.namespace?.(payload),
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
