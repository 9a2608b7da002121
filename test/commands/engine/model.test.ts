import { expect, test } from 'bun:test';
import { seededRandom } from '../../support/seeded-random.ts';
import { runHistory } from './simulation.ts';

/** ENGINE_SEED repeats one history, ENGINE_HISTORIES runs more of them. */
const SEED = process.env['ENGINE_SEED'];
const HISTORIES = Number(process.env['ENGINE_HISTORIES'] ?? 400);
/** They are longer. */
const HISTORIES_OF_SERVERS = Math.ceil(HISTORIES / 8);
/** On a busy machine; thousands of histories take as much longer. */
const TIMEOUT_MS = Math.max(120_000, HISTORIES * 300);

test(
  'any history of servers that take over from each other, one of them too late, ends the same way',
  async () => {
    const first = SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(SEED);
    const count = SEED === undefined ? HISTORIES_OF_SERVERS : 1;
    console.log(`histories of three servers: seeds ${first} to ${first + count - 1}`);
    for (let seed = first; seed < first + count; seed += 1) {
      const problems = await runHistory(seededRandom(seed), 3);
      expect({ seed, problems }).toEqual({ seed, problems: [] });
    }
  },
  TIMEOUT_MS,
);

test(
  'any history of deliveries, crashes, losses and cancels ends with one effect and one result each',
  async () => {
    const first = SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(SEED);
    const count = SEED === undefined ? HISTORIES : 1;
    console.log(
      `engine histories: seeds ${first} to ${first + count - 1} (ENGINE_SEED repeats one)`,
    );
    for (let seed = first; seed < first + count; seed += 1) {
      const problems = await runHistory(seededRandom(seed));
      expect({ seed, problems }).toEqual({ seed, problems: [] });
    }
  },
  TIMEOUT_MS,
);
