import { useEffect, useRef, useState } from 'preact/hooks';
import { addressOf } from '../../protocol/local-api-address.ts';
import type { AnswerOf, GivenOf, RouteName } from '../../protocol/local-api-table.ts';
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
  /** The same, or that of the address before while there is none of this one. */
  readonly last: Answer | undefined;
  /** Why there is no newer one. */
  readonly error: AskError | undefined;
  /** Asks at once. */
  readonly again: () => void;
}

/** Whether the answer is another one after this event. */
export type IsNews = (event: RealtimeEvent) => boolean;

interface Wish {
  /** Absent where there are no news of it. */
  readonly isNews?: IsNews;
  /** How often it is asked where there are no news, ms. */
  readonly everyMs?: number;
}

/**
 * What a route answers, asked for anew while somebody looks: after news of it, and after a while.
 * @param given its parameters; undefined: nothing is asked
 */
export function useAnswer<Name extends RouteName>(
  name: Name,
  given: GivenOf<Name> | undefined,
  wish: Wish = {},
): Asked<AnswerOf<Name>> {
  const { agent, news } = useConnection();
  /** Undefined where nothing is asked. */
  const target = given && addressOf(name, given).target;
  const [answer, setAnswer] = useState<{ target: string; value: AnswerOf<Name> }>();
  const [error, setError] = useState<AskError>();
  const newest = useRef({ ...wish, given });
  newest.current = { ...wish, given };
  const going = useRef<Asking | undefined>(undefined);
  useEffect(() => {
    if (target === undefined) {
      return;
    }
    let isOver = false;
    const ask = async () => {
      const { given: now } = newest.current;
      if (now === undefined) {
        return;
      }
      const asked = await agent.ask(name, now).then(
        (value) => ({ value }),
        (thrown: unknown) => ({ error: askErrorOf(thrown) }),
      );
      if (isOver) {
        return;
      }
      if ('value' in asked) {
        setAnswer({ target, value: asked.value });
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
  }, [name, target, agent, news]);
  return {
    // Of another address it would be wrong, not old.
    answer: answer?.target === target ? answer?.value : undefined,
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
