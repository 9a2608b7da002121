import type { AgentLink } from './agent-link.ts';
import type { Dialect } from './dialect.ts';
import type { CommandRecord, ControlPlaneStore } from './store.ts';

/** What is not acknowledged is sent again after this. */
const RESEND_MS = 2_000;
/** Commands sent and not acknowledged, at most. */
const WINDOW = 100;
/** Commands without a result that are looked at, the oldest. */
const OPEN_MAX = 2_000;

/**
 * Commands and cancels over one connection: each is sent when it is new, and again until the agent
 * has acknowledged it. A new connection begins with all that has no result yet, unless the
 * dialect counts on what was acknowledged.
 */
export interface CommandChannel {
  /** Sends what is due. */
  pump(): void;
  /** `settled` false: the agent had no room for it, so it is sent again later. */
  acknowledged(what: 'command' | 'cancel', commandId: string, settled: boolean): void;
  /** Its result is here: nothing more is sent of it. */
  finished(commandId: string): void;
  close(): void;
}

export function commandChannel(
  deps: {
    readonly store: ControlPlaneStore;
    readonly changed: () => void;
    readonly dialect: Pick<Dialect, 'sends_acknowledged_again'>;
  },
  link: AgentLink,
): CommandChannel {
  /** What was sent on this connection, and when it may be sent again; Infinity: never. */
  const sentAgainAt = new Map<string, number>();
  const isDue = (key: string) => (sentAgainAt.get(key) ?? 0) <= performance.now();
  const note = (key: string) => sentAgainAt.set(key, performance.now() + RESEND_MS);

  const pump = () => {
    const now = performance.now();
    const waiting = [...sentAgainAt.values()].filter((at) => at > now && at !== Infinity).length;
    let room = WINDOW - waiting;
    for (const command of deps.store.open(link.agentId, OPEN_MAX)) {
      const isWanted = command.state !== 'acknowledged' || deps.dialect.sends_acknowledged_again;
      if (room > 0 && isWanted && isDue(`command ${command.id}`) && sendCommand(link, command)) {
        room -= 1;
        note(`command ${command.id}`);
        deps.store.sent(command.id, 'websocket');
      }
      if (command.cancel_requested && isDue(`cancel ${command.id}`)) {
        link.send('command_cancel', { id: command.id });
        note(`cancel ${command.id}`);
        deps.store.note(command.id, {
          kind: 'cancel_sent',
          transport: 'websocket',
          outcome: null,
        });
      }
    }
    deps.changed();
  };
  const timer = setInterval(pump, RESEND_MS / 2);
  timer.unref();
  return {
    pump,
    acknowledged: (what, commandId, settled) => {
      sentAgainAt.set(`${what} ${commandId}`, settled ? Infinity : performance.now() + RESEND_MS);
    },
    finished: (commandId) => {
      sentAgainAt.delete(`command ${commandId}`);
      sentAgainAt.delete(`cancel ${commandId}`);
    },
    close: () => clearInterval(timer),
  };
}

/** The command as both transports give it out. */
export function wireCommand(command: CommandRecord): Readonly<Record<string, unknown>> {
  return {
    id: command.id,
    type: command.type,
    payload: command.payload,
    created_at: command.created_at,
    ...(command.timeout_seconds === null ? {} : { timeout_seconds: command.timeout_seconds }),
  };
}

function sendCommand(link: AgentLink, command: CommandRecord): boolean {
  return link.send('command', wireCommand(command));
}
