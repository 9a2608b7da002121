/** What a control plane can know of the commands that it sent, and which of it may not be. */

export interface LedgerTotals {
  readonly commands: number;
  /** Times that one was sent and no acknowledgement came. */
  readonly unacknowledged: number;
  /** Acknowledgements `full`, and commands that were sent again for them. */
  readonly full: number;
  readonly sentAgain: number;
  /** Acknowledgements that may not come: a second `accepted`, `duplicate`, or one nobody asked for. */
  readonly wronglyAcknowledged: number;
  readonly accepted: number;
  /** Accepted commands that had one result, which may have come more than once. */
  readonly answeredOnce: number;
  /** Results that differ from the first one of their command, or are of one that was not accepted. */
  readonly wrongResults: number;
}

/** Of commands with the numbers from 0. */
export interface CommandLedger {
  sent(command: number): void;
  acknowledged(command: number, outcome: unknown): void;
  /** @param result its text, whatever it says */
  answered(command: number, result: string): void;
  /** Commands that were answered `full` and not sent again since. */
  refused(limit: number): readonly number[];
  totals(): LedgerTotals;
}

/** @param size so many commands; all memory is taken now, so that what grows is the agent's */
export function commandLedger(size: number): CommandLedger {
  const unacknowledged = new Uint8Array(size);
  const full = new Uint8Array(size);
  const accepted = new Uint8Array(size);
  const results = new Uint32Array(size);
  const sends = new Uint32Array(size);
  const totals = {
    commands: 0,
    unacknowledged: 0,
    full: 0,
    sentAgain: 0,
    wronglyAcknowledged: 0,
    accepted: 0,
    answeredOnce: 0,
    wrongResults: 0,
  };
  const acknowledge = (command: number, outcome: unknown): boolean => {
    if (unacknowledged[command] !== 1 || accepted[command] !== 0) {
      return false;
    }
    switch (outcome) {
      case 'accepted':
        accepted[command] = 1;
        totals.accepted += 1;
        return true;
      case 'full':
        full[command] = 1;
        totals.full += 1;
        return true;
      default:
        return false;
    }
  };
  return {
    sent: (command) => {
      totals[sends[command] === 0 ? 'commands' : 'sentAgain'] += 1;
      sends[command] = (sends[command] ?? 0) + 1;
      full[command] = 0;
      totals.unacknowledged += 1 - (unacknowledged[command] ?? 0);
      unacknowledged[command] = 1;
    },
    acknowledged: (command, outcome) => {
      if (!acknowledge(command, outcome)) {
        totals.wronglyAcknowledged += 1;
      }
      totals.unacknowledged -= unacknowledged[command] ?? 0;
      unacknowledged[command] = 0;
    },
    answered: (command, result) => {
      const sum = Bun.hash.crc32(result) || 1;
      if (accepted[command] === 1 && results[command] === 0) {
        totals.answeredOnce += 1;
        results[command] = sum;
      } else if (results[command] !== sum) {
        totals.wrongResults += 1;
      }
    },
    refused: (limit) => {
      const found: number[] = [];
      for (
        let at = full.indexOf(1);
        at !== -1 && found.length < limit;
        at = full.indexOf(1, at + 1)
      ) {
        found.push(at);
      }
      return found;
    },
    totals: () => ({ ...totals }),
  };
}
