import type { MachineContext } from '../../machine/context.ts';
import type { TerminalIo } from '../terminal/io.ts';

/** Everything a subcommand gets: the machine, and the person at it. */
export interface CliContext extends MachineContext {
  readonly io: TerminalIo;
  /** Ends the process within moments, whatever is still going on. */
  readonly endProcess: (exitCode: number) => void;
}
