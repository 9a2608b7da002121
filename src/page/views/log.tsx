import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { LOG_LEVELS } from '../../core/log-levels.ts';
import type { LogLevel } from '../../core/ports.ts';
import type { LogEvent, LogLine } from '../../protocol/local-realtime.ts';
import { useConnection } from '../agent/connection.ts';
import { readStream } from '../agent/read-stream.ts';
import { whileLookedAt } from '../agent/while-looked-at.ts';
import { counted } from '../text/format.ts';

/** Lines that are kept here; the oldest go. */
const LINES_MAX = 1_000;
/** Lines that come first. */
const TAIL = 300;
/** Lines that come within this time are shown together, ms. */
const GATHER_MS = 100;
/** So near its end it counts as scrolled to the end, px. */
const END_PX = 24;

interface Shown {
  /** What a search looks at, in lower case. */
  readonly text: string;
  /** Made once: rows that are there already cost nothing when others come. */
  readonly row: VNode;
}

/** The log of the agent, as it is written. */
export function AgentLog() {
  const [level, setLevel] = useState<LogLevel>('info');
  const [wanted, setWanted] = useState('');
  const [isPaused, setPaused] = useState(false);
  const [isFollowing, setFollowing] = useState(true);
  const { lines, clear } = useLines(level, isPaused);
  const place = useRef<HTMLOListElement>(null);
  const found = wanted === '' ? lines : lines.filter(({ text }) => text.includes(wanted));
  useLayoutEffect(() => {
    if (isFollowing) {
      place.current?.scrollTo(0, place.current.scrollHeight);
    }
  }, [found, isFollowing]);
  return (
    <>
      <div class="filters">
        <select
          aria-label="Level"
          value={level}
          onChange={({ currentTarget }) => setLevel(currentTarget.value as LogLevel)}
        >
          {LOG_LEVELS.map((each) => (
            <option key={each} value={each}>
              {each === 'error' ? 'only error' : `${each} and graver`}
            </option>
          ))}
        </select>
        <input
          type="search"
          placeholder="A part of a line"
          aria-label="Find lines"
          onInput={({ currentTarget }) => setWanted(currentTarget.value.trim().toLowerCase())}
        />
        <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? 'Go on' : 'Pause'}
        </button>
        <label>
          <input
            type="checkbox"
            checked={isFollowing}
            onChange={({ currentTarget }) => setFollowing(currentTarget.checked)}
          />{' '}
          Follow
        </label>
        <button type="button" class="quiet" onClick={clear}>
          Clear
        </button>
        <span class="muted">
          {counted(found.length, 'line')}
          {lines.length === LINES_MAX && ', the newest'} · UTC
        </span>
      </div>
      <ol
        ref={place}
        class="log"
        aria-label="Log of the agent"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
        tabIndex={0}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) =>
          setFollowing(scrollHeight - scrollTop - clientHeight < END_PX)
        }
      >
        {found.map(({ row }) => row)}
      </ol>
    </>
  );
}

/** The newest lines that are at least so grave. A pause ends the stream, which later goes on where it was. */
function useLines(
  level: LogLevel,
  isPaused: boolean,
): { readonly lines: readonly Shown[]; readonly clear: () => void } {
  const { agent } = useConnection();
  const [lines, setLines] = useState<readonly Shown[]>([]);
  const after = useRef<string | undefined>(undefined);
  const count = useRef(0);
  useEffect(() => {
    after.current = undefined;
    setLines([]);
  }, [level]);
  useEffect(() => {
    if (isPaused) {
      return;
    }
    let fresh: Shown[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer = undefined;
      const added = fresh;
      fresh = [];
      setLines((before) => [...before, ...added].slice(-LINES_MAX));
    };
    const end = whileLookedAt((signal) => {
      const hear = (event: LogEvent, id: string) => {
        after.current = id;
        count.current += 1;
        const shown = shownOf(event, count.current);
        if (shown !== undefined) {
          fresh.push(shown);
          timer ??= setTimeout(show, GATHER_MS);
        }
      };
      const wish = {
        name: 'GET /api/realtime/logs',
        given: { level, tail: TAIL },
        after: after.current,
        hear,
        onOpen: () => undefined,
      } as const;
      void readStream(agent, wish, signal);
    });
    return () => {
      end();
      clearTimeout(timer);
      show();
    };
  }, [agent, level, isPaused]);
  return { lines, clear: () => setLines([]) };
}

function shownOf({ event, data }: LogEvent, key: number): Shown | undefined {
  switch (event) {
    case 'log':
      return shownLine(data, key);
    case 'gap':
    case 'end':
      return { text: '', row: <li key={key} class="gap">{`— ${data.message} —`}</li> };
    default:
      return undefined;
  }
}

function shownLine({ timestamp, level, message, fields }: LogLine, key: number): Shown {
  const more = Object.entries(fields)
    .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
    .join('');
  return {
    text: `${level} ${message}${more}`.toLowerCase(),
    row: (
      <li key={key} class={level}>
        <time dateTime={timestamp}>{timestamp.slice(11, 23)}</time> <b>{level}</b> {message}
        <span class="muted">{more}</span>
      </li>
    ),
  };
}
