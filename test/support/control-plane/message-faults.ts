import type { Fault, Faults } from './faults.ts';
import type { Line } from './request-faults.ts';

/** How long a message that waits to be overtaken waits for another one. */
const OVERTAKEN_WITHIN_MS = 1_000;

export interface MessageTrouble {
  readonly faults: Faults;
  readonly line: Line;
  readonly direction: Fault['direction'];
  /** Where messages go: to their handling, or to the socket. */
  readonly pass: (text: string) => void;
  /** Answers the agent's message with an error. */
  readonly refuse: (fault: Fault, text: string) => void;
}

/** One direction of one WebSocket, with the trouble that is due for each message. */
export function troubledMessages(deps: MessageTrouble): (type: () => string, text: string) => void {
  let overtaken: (() => void) | undefined;
  return (type, text) => {
    const fault = deps.faults.ofMessage(deps.direction, type);
    if (fault?.kind === 'reorder' && overtaken === undefined) {
      overtaken = once(() => {
        overtaken = undefined;
        deps.pass(text);
      });
      setTimeout(overtaken, OVERTAKEN_WITHIN_MS).unref();
      return;
    }
    passWithFault(deps, fault, text);
    overtaken?.();
  };
}

function passWithFault(deps: MessageTrouble, fault: Fault | undefined, text: string): void {
  switch (fault?.kind) {
    case 'drop':
      return;
    case 'close':
      deps.pass(text);
      deps.line.cut();
      return;
    case 'stall':
      deps.line.freeze(fault.delay_ms);
      deps.pass(text);
      return;
    case 'delay':
      setTimeout(() => deps.pass(text), fault.delay_ms).unref();
      return;
    case 'duplicate':
      deps.pass(text);
      deps.pass(text);
      return;
    case 'garbage':
      deps.pass(text.slice(0, text.length / 2));
      return;
    case 'error':
      deps.refuse(fault, text);
      return;
    default:
      deps.pass(text);
  }
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) {
      done = true;
      work();
    }
  };
}
