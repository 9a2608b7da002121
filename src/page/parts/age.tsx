import { useNow } from '../agent/connection.ts';
import { duration } from '../text/format.ts';

interface AgeProps {
  /** ISO time; nothing is shown where nobody knows it. */
  readonly of: string | null | undefined;
  /** `4 s ago`, and not `4 s`. */
  readonly isMoment?: boolean;
}

/** How long ago something was by the clock of the machine; it goes on by itself. */
export function Age({ of, isMoment = false }: AgeProps) {
  const now = useNow();
  return of === null || of === undefined ? null : (
    <time dateTime={of}>
      {duration(now - Date.parse(of))}
      {isMoment && ' ago'}
    </time>
  );
}
