import { useEffect, useRef, useState } from 'preact/hooks';
import type { RealtimeEvent } from '../../protocol/local-realtime.ts';
import { type AskError, askErrorOf } from './agent.ts';
import { type Asking, asking } from './asking.ts';
import { useConnection } from './connection.ts';

/** While news are heard, only what no news tell has to be asked for. */
const LIVE_EVERY_MS = 15_000;
const EVERY_MS = 3_000;

export interface Asked<Answer> {
  /** The last answer, also while the agent does not answer. */
  readonly answer: Answer | undefined;
  /** The same, or that of the path before while there is none of this one. */
  readonly last: Answer | undefined;
  /** Why there is no newer one. */
  readonly error: AskError | undefined;
  /** Asks at once. */
  readonly again: () => void;
}

interface Wish {
  /** Whether the answer is another one after this. Absent where there are no news of it. */
  readonly isNews?: (event: RealtimeEvent) => boolean;
  /** How often it is asked where there are no news, ms. */
  readonly everyMs?: number;
}

/**
 * What a route answers, asked for anew while somebody looks: after news of it, and after a while.
 * @param path below /api; undefined: nothing is asked
 */
export function useAnswer<Answer>(path: string | undefined, wish: Wish = {}): Asked<Answer> {
  const { agent, news } = useConnection();
  const [answer, setAnswer] = useState<{ path: string; value: Answer }>();
  const [error, setError] = useState<AskError>();
  const newest = useRef(wish);
  newest.current = wish;
  const going = useRef<Asking | undefined>(undefined);
  useEffect(() => {
    if (path === undefined) {
      return;
    }
    let isOver = false;
    const ask = async () => {
      const asked = await agent.ask<Answer>(path).then(
        (value) => ({ value }),
        (thrown: unknown) => ({ error: askErrorOf(thrown) }),
      );
      if (isOver) {
        return;
      }
      if ('value' in asked) {
        setAnswer({ path, value: asked.value });
      }
      setError('error' in asked ? asked.error : undefined);
    };
    const pauseMs = () => {
      const { isNews, everyMs = EVERY_MS } = newest.current;
      return isNews !== undefined && news.isLive() ? LIVE_EVERY_MS : everyMs;
    };
    const it = asking(BROWSER, ask, pauseMs);
    going.current = it;
    const lookNow = () => document.hidden || it.now();
    const ends = [
      news.onLive(it.repace),
      news.onEvent((event) => {
        const { isNews } = newest.current;
        if (isNews !== undefined && (isGap(event) || isNews(event))) {
          it.soon();
        }
      }),
    ];
    document.addEventListener('visibilitychange', lookNow);
    it.now();
    return () => {
      isOver = true;
      it.end();
      for (const end of ends) {
        end();
      }
      document.removeEventListener('visibilitychange', lookNow);
    };
  }, [path, agent, news]);
  return {
    // Of another path it would be wrong, not old.
    answer: answer?.path === path ? answer?.value : undefined,
    last: answer?.value,
    error,
    again: () => going.current?.now(),
  };
}

/** What came before it may not have been heard. */
function isGap({ event }: RealtimeEvent): boolean {
  return event === 'connected' || event === 'gap';
}

const BROWSER = {
  monotonic: () => performance.now(),
  setTimer: (work: () => void, ms: number): number => window.setTimeout(work, ms),
  clearTimer: (timer: number) => window.clearTimeout(timer),
  isLookedAt: () => !document.hidden,
};
