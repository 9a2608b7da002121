/** What is done, said when it begins, while it lasts and when it is done, on stderr. */

/** Says how far a phase is: `42 %, about 3 min left`. */
export type Tell = (news: string) => void;

export interface Progress {
  /** Runs one phase; its last line says how long it took, or that it failed. */
  phase<T>(label: string, work: (tell: Tell) => Promise<T>): Promise<T>;
}

/** Where it is said. */
export interface Screen {
  write(text: string): void;
  /** Of a terminal, whose lines can change; undefined: what is written stays. */
  columns(): number | undefined;
  /** ms of a clock that never goes back. */
  now(): number;
  /** @returns what ends it */
  every(ms: number, work: () => void): () => void;
}

interface Phase {
  readonly label: string;
  readonly began: number;
  news: string;
}

interface Display {
  began(phase: Phase): void;
  ended(phase: Phase, ok: boolean): void;
}

/** The time that passes is seen to pass. */
const REPAINT_INTERVAL_MS = 500;
/** Where lines cannot change, each phase has a new one this often. */
const NEWS_INTERVAL_MS = 30_000;

const CLEAR_BELOW = '\x1b[J';
const green = (text: string) => `\x1b[32m${text}\x1b[39m`;
const red = (text: string) => `\x1b[31m${text}\x1b[39m`;

/** Lines that stay: for tests, which others write between. */
export function reportProgress(prefix: string, screen: Screen = stderrScreen()): Progress {
  return phases(screen, plainDisplay(screen, prefix));
}

/** Lines that change where stderr is a terminal. */
export function showProgress(prefix: string, screen: Screen = stderrScreen()): Progress {
  const isLive = screen.columns() !== undefined;
  return phases(screen, isLive ? liveDisplay(screen) : plainDisplay(screen, prefix));
}

function phases(screen: Screen, display: Display): Progress {
  return {
    async phase(label, work) {
      const phase: Phase = { label, began: screen.now(), news: '' };
      display.began(phase);
      try {
        const result = await work((news) => {
          phase.news = news;
        });
        display.ended(phase, true);
        return result;
      } catch (error) {
        display.ended(phase, false);
        throw error;
      }
    },
  };
}

/** Lines look like `[  12.3 s] k3s.test: agent joined (2.9 s)`; the first number counts from here. */
function plainDisplay(screen: Screen, prefix: string): Display {
  const start = screen.now();
  const since = (began: number) => ((screen.now() - began) / 1_000).toFixed(1);
  const line = (text: string) =>
    screen.write(`[${since(start).padStart(6)} s] ${prefix}: ${text}\n`);
  const stops = new Map<Phase, () => void>();
  return {
    began: (phase) => {
      line(`${phase.label} …`);
      const goesOn = () =>
        line(`${phase.label}: ${phase.news || 'goes on'} (${since(phase.began)} s)`);
      stops.set(phase, screen.every(NEWS_INTERVAL_MS, goesOn));
    },
    ended: (phase, ok) => {
      stops.get(phase)?.();
      stops.delete(phase);
      const took = `${since(phase.began)} s`;
      line(ok ? `${phase.label} (${took})` : `${phase.label} FAILED after ${took}`);
    },
  };
}

/** What is under way stands below what is done, and is painted again and again. */
function liveDisplay(screen: Screen): Display {
  const running = new Set<Phase>();
  let painted: readonly string[] = [];
  let stop: (() => void) | undefined;
  const columns = () => screen.columns() ?? 80;
  const since = (began: number) => duration(screen.now() - began);
  const paint = (done = '') => {
    // A terminal that was made narrower has broken the lines that stood there.
    const rows = painted.reduce((sum, line) => sum + Math.ceil(line.length / columns()), 0);
    const erase = rows === 0 ? '' : `\x1b[${rows}F${CLEAR_BELOW}`;
    painted = [...running].map(({ label, news, began }) =>
      cut(`… ${label}  ${since(began)}${news === '' ? '' : `  ${news}`}`, columns() - 1),
    );
    screen.write(`${erase}${done}${painted.map((line) => `${line}\n`).join('')}`);
  };
  return {
    began: (phase) => {
      running.add(phase);
      stop ??= screen.every(REPAINT_INTERVAL_MS, paint);
      paint();
    },
    ended: (phase, ok) => {
      running.delete(phase);
      if (running.size === 0) {
        stop?.();
        stop = undefined;
      }
      const took = `(${since(phase.began)})`;
      paint(
        ok
          ? `${green('✓')} ${phase.label} ${took}\n`
          : `${red('✗')} ${phase.label} failed ${took}\n`,
      );
    },
  };
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(width - 1, 0))}…`;
}

/** `8 s`, `3 min 5 s`. */
function duration(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function stderrScreen(): Screen {
  const { stderr } = process;
  const isTerminal = stderr.isTTY && process.env['TERM'] !== 'dumb';
  return {
    write: (text) => stderr.write(text),
    columns: () => (isTerminal ? stderr.columns : undefined),
    now: () => performance.now(),
    every: (ms, work) => {
      const timer = setInterval(work, ms);
      return () => clearInterval(timer);
    },
  };
}
