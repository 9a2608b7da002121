import { useEffect, useState } from 'preact/hooks';
import { AskError, ask } from './ask.ts';

export interface Asked<Answer> {
  /** The last answer, also while the agent does not answer. */
  readonly answer: Answer | undefined;
  /** Why there is no newer one. */
  readonly error: AskError | undefined;
  /** Asks at once. */
  readonly again: () => void;
}

/**
 * What a route answers, asked for anew while somebody looks.
 * @param path below /api; undefined: nothing is asked
 */
export function useAnswer<Answer>(path: string | undefined, everyMs: number): Asked<Answer> {
  const [answer, setAnswer] = useState<{ path: string; value: Answer }>();
  const [error, setError] = useState<AskError>();
  /** Changes to ask once more. */
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (path === undefined) {
      return;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const look = async () => {
      timer = undefined;
      if (!document.hidden) {
        try {
          const value = await ask<Answer>(path);
          if (isOver) {
            return;
          }
          setAnswer({ path, value });
          setError(undefined);
        } catch (thrown) {
          if (isOver) {
            return;
          }
          setError(thrown instanceof AskError ? thrown : new AskError(0, String(thrown)));
        }
      }
      timer = setTimeout(look, everyMs);
    };
    const lookNow = () => {
      if (timer !== undefined && !document.hidden) {
        clearTimeout(timer);
        void look();
      }
    };
    void look();
    document.addEventListener('visibilitychange', lookNow);
    return () => {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', lookNow);
    };
  }, [path, everyMs, turn]);
  return {
    // Of another path it would be wrong, not old.
    answer: answer?.path === path ? answer?.value : undefined,
    error,
    again: () => setTurn((before) => before + 1),
  };
}
