/** Streams of the agent as the page reads them, from real event readers over a real server. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { Server } from 'bun';
import { agentOf } from '../../../src/page/agent/agent.ts';
import { machineClock } from '../../../src/page/agent/machine-clock.ts';
import { agentNews, type News } from '../../../src/page/agent/news.ts';
import { until } from '../../support/until.ts';

const frame = (id: string, event: string, data: object) =>
  `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;

let server: Server<undefined>;
/** Queries of the requests so far. */
let asked: string[];
/** What each next request is answered; where there is none it stays open. */
let answers: (() => Response)[];
let sockets: ReadableStreamDefaultController<Uint8Array>[];
let stop: AbortController;
let news: News;
let heard: string[];

const open = (...frames: string[]) =>
  new Response(
    new ReadableStream<Uint8Array>({
      start: (controller) => {
        sockets.push(controller);
        controller.enqueue(Buffer.from(`retry: 3000\n\n${frames.join('')}`));
      },
    }),
    { headers: { 'content-type': 'text/event-stream' } },
  );

beforeEach(() => {
  [asked, answers, sockets, heard] = [[], [], [], []];
  stop = new AbortController();
  server = Bun.serve({
    port: 0,
    fetch: ({ url }) => {
      asked.push(new URL(url).search);
      return answers.shift()?.() ?? open();
    },
  });
  const monotonic = () => performance.now();
  const agent = agentOf({
    monotonic,
    clock: machineClock({ monotonic, browserNow: Date.now }),
    fetch: (path, init) => fetch(new URL(path, server.url), init),
    storage: { getItem: () => 'key', setItem: () => undefined, removeItem: () => undefined },
  });
  news = agentNews(agent);
  news.onEvent(({ event, data }) => heard.push(`${event} ${JSON.stringify(data)}`));
});

afterEach(async () => {
  stop.abort();
  await server.stop(true);
});

test('what happens is heard as it happens', async () => {
  answers.push(() => open(frame('1', 'connected', {})));
  void news.hearUntil(stop.signal);
  await until('it is live', () => news.isLive() && heard.length === 1);
  sockets[0]?.enqueue(Buffer.from(`: heartbeat\n\n${frame('2', 'rows', { kinds: ['pods'] })}`));
  await until('the event', () => heard.length === 2);
  expect(heard).toEqual(['connected {}', 'rows {"kinds":["pods"]}']);
});

test('a stream that breaks is taken up behind what was heard', async () => {
  answers.push(() => open(frame('a-7', 'connected', {})));
  const states: boolean[] = [];
  news.onLive(() => states.push(news.isLive()));
  void news.hearUntil(stop.signal);
  await until('it is live', () => heard.length === 1);
  sockets[0]?.close();
  await until('it is opened again', () => asked.length === 2 && states.length === 3);
  expect({ asked, states }).toEqual({ asked: ['', '?after=a-7'], states: [true, false, true] });
});

test('a refusal is no end', async () => {
  answers.push(() => Response.json({ detail: 'The agent stops' }, { status: 503 }));
  answers.push(() => open(frame('1', 'connected', {})));
  void news.hearUntil(stop.signal);
  await until('it is live', () => news.isLive());
  expect(asked).toEqual(['', '']);
});

test('after the signal nothing is heard, and later it goes on behind what was heard', async () => {
  answers.push(() => open(frame('a-7', 'connected', {})));
  const hearing = news.hearUntil(stop.signal);
  await until('it is live', () => heard.length === 1);
  stop.abort();
  await hearing;
  expect(news.isLive()).toBeFalse();
  stop = new AbortController();
  void news.hearUntil(stop.signal);
  await until('it is opened again', () => asked.length === 2);
  expect(asked[1]).toBe('?after=a-7');
});
