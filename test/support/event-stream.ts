/** Reads server-sent events as a browser does. */
import { until } from './until.ts';

export interface SeenEvent {
  readonly id: string;
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: each test says what it reads
  readonly data: any;
}

export interface EventStream extends AsyncDisposable {
  /** What has come so far. */
  readonly events: readonly SeenEvent[];
  /** Whether the other side has ended it. */
  readonly isOver: boolean;
  /** Comments so far: heartbeats. */
  readonly comments: number;
  /** The first of that name. */
  next(event: string): Promise<SeenEvent>;
  /** The first of that name that is as wished. */
  until(event: string, wanted: (data: SeenEvent['data']) => boolean): Promise<SeenEvent>;
}

/** The events of a text; those without data are left out. */
export function eventsIn(
  text: string,
): readonly { readonly event: string; readonly data: unknown }[] {
  return text
    .split('\n\n')
    .filter((block) => block.includes('data: '))
    .map((block) => {
      const { event, data } = seenIn(block);
      return { event, data };
    });
}

export async function openEvents(
  url: string,
  init: RequestInit & { readonly unix?: string } = {},
): Promise<EventStream> {
  const stop = new AbortController();
  const response = await fetch(url, { ...init, signal: stop.signal });
  if (!response.ok) {
    throw new Error(`${response.status}: ${await response.text()}`);
  }
  const seen = { events: [] as SeenEvent[], isOver: false, comments: 0 };
  const done = read(response, seen).catch((thrown: unknown) => {
    if (!stop.signal.aborted) {
      throw thrown;
    }
  });
  const waitFor = async (event: string, wanted: (data: SeenEvent['data']) => boolean) => {
    const find = () => seen.events.find((each) => each.event === event && wanted(each.data));
    await until(`the event ${event}`, () => find() !== undefined);
    return find() as SeenEvent;
  };
  return Object.assign(seen, {
    next: (event: string) => waitFor(event, () => true),
    until: waitFor,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
    },
  });
}

async function read(
  response: Response,
  seen: { events: SeenEvent[]; isOver: boolean; comments: number },
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of response.body ?? []) {
    const blocks = (rest + decoder.decode(bytes, { stream: true })).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      if (block.startsWith(':')) {
        seen.comments += 1;
      } else if (block.includes('data: ')) {
        seen.events.push(seenIn(block));
      }
    }
  }
  seen.isOver = true;
}

function seenIn(block: string): SeenEvent {
  const field = (name: string) =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2) ?? '';
  return { id: field('id'), event: field('event'), data: JSON.parse(field('data')) };
}
