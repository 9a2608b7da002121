import { expect, test } from 'bun:test';
import { textReader, WAITING_CHARS_MAX } from '../../../src/control-plane/websocket/text-reader.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { SHORT_JSON_CHARS_MAX } from '../../../src/protocol/long-json.ts';
import { atRest, until } from '../../support/until.ts';

function stand() {
  const events: string[] = [];
  const gone = new AbortController();
  const read = textReader(
    {
      clock: systemClock,
      pause: () => void events.push('pause'),
      resume: () => void events.push('resume'),
    },
    (json, chars) => void events.push(`${Object(json.value).n ?? json.problem} ${chars}`),
    gone.signal,
  );
  return { events, gone, read };
}

const short = (n: number) => `{"n":${n}}`;
const long = (n: number, chars: number) => {
  const begin = `{"n":${n},"text":"`;
  return `${begin}${'x'.repeat(chars - begin.length - 2)}"}`;
};

test('texts are taken in their order; a short one behind no long one at once', async () => {
  const { events, read } = stand();
  const chars = SHORT_JSON_CHARS_MAX + 1;
  read(short(1));
  expect(events).toEqual(['1 7']);
  for (const text of [long(2, chars), short(3), 'x', long(4, chars), short(5)]) {
    read(text);
  }
  await until('all are taken', () => events.length === 6);
  read(short(6));
  expect(events).toEqual([
    ...['1 7', `2 ${chars}`, '3 7', 'it is not JSON 1', `4 ${chars}`, '5 7', '6 7'],
  ]);
});

test('the socket waits while much waits behind a long one', async () => {
  const { events, read } = stand();
  const half = WAITING_CHARS_MAX / 2;
  for (const n of [1, 2, 3, 4]) {
    read(long(n, half));
  }
  await until('all are taken', () => events.includes(`4 ${half}`));
  expect(events).toEqual(['pause', `1 ${half}`, `2 ${half}`, 'resume', `3 ${half}`, `4 ${half}`]);
});

test('nothing is taken when the connection is gone', async () => {
  const { events, gone, read } = stand();
  read(long(1, 2 * SHORT_JSON_CHARS_MAX));
  read(short(2));
  gone.abort();
  expect(await atRest(() => events.length)).toBe(0);
});
