import { colors } from 'consola/utils';
import type { Clock, Progress } from '../../core/ports.ts';
import { formatDuration } from '../../core/text/duration.ts';
import { visibleLine } from '../../core/text/visible.ts';

export interface ProgressOptions {
  readonly isTty: boolean;
  /** Columns of the terminal. */
  readonly columns: number;
  readonly write: (text: string) => void;
}

/** Where it is not a terminal, the current work is repeated no more often than this. */
const PLAIN_UPDATE_INTERVAL_MS = 10_000;
const CLEAR_LINE = '\r\x1b[2K';

/** One changing line on a terminal, plain lines elsewhere. Marks are words, never colour alone. */
export function startProgress(
  deps: { readonly clock: Clock },
  options: ProgressOptions,
  work: string,
): Progress {
  const title = visibleLine(work);
  const startedAt = deps.clock.monotonic();
  const elapsed = () => formatDuration(deps.clock.monotonic() - startedAt);
  let lastPlainAt = startedAt;
  const finish = (mark: string, text: string | undefined) => {
    const detail = text === undefined ? '' : `: ${visibleLine(text)}`;
    options.write(`${options.isTty ? CLEAR_LINE : ''}${mark} ${title}${detail} (${elapsed()})\n`);
  };
  options.write(options.isTty ? cutToWidth(`… ${title}`, options.columns) : `… ${title}\n`);
  return {
    update: (text) => {
      if (options.isTty) {
        options.write(
          CLEAR_LINE + cutToWidth(`… ${title} (${elapsed()}) ${text}`, options.columns),
        );
      } else if (deps.clock.monotonic() - lastPlainAt >= PLAIN_UPDATE_INTERVAL_MS) {
        lastPlainAt = deps.clock.monotonic();
        options.write(`  ${title} (${elapsed()}) ${visibleLine(text)}\n`);
      }
    },
    // Colours only where the terminal has them and nobody said NO_COLOR.
    done: (text) => finish(options.isTty ? colors.green('✓') : '✓', text),
    fail: (text) => finish(options.isTty ? colors.red('✗') : '✗', text),
  };
}

/** A line that wraps cannot be cleared. */
function cutToWidth(text: string, columns: number): string {
  const oneLine = visibleLine(text.slice(0, columns + 1));
  return oneLine.length < columns ? oneLine : `${oneLine.slice(0, Math.max(columns - 2, 1))}…`;
}
