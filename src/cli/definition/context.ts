import type { HandedConnection } from '../../core/ports.ts';
import type { MachineContext } from '../../machine/context.ts';
import type { TerminalIo } from '../terminal/io.ts';

/** Everything a subcommand gets: the machine, and the person at it. */
export interface CliContext extends MachineContext {
  readonly io: TerminalIo;
  /** Ends the process within moments, whatever is still going on. */
  readonly endProcess: (exitCode: number) => void;
  /** The connection that this process was started for. */
  readonly handedConnection: () => Promise<HandedConnection>;
}
