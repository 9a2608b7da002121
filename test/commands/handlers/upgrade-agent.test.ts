import { beforeEach, expect, test } from 'bun:test';
import type { CommandContext, Releases } from '../../../src/commands/engine/handler.ts';
import { upgradeAgentCommand } from '../../../src/commands/handlers/upgrade-agent.ts';
import { BUILD } from '../../../src/core/version.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import type { HelperRequest, UpgradeState } from '../../../src/protocol/helper.ts';
import { failureOf } from '../../support/failure-of.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { unusedCommandDeps } from '../../support/unused-command-deps.ts';

const NEW = '9.9.9';
const UNDER_WAY: UpgradeState = { state: 'under_way', from: BUILD.version, to: NEW };
const { signal } = new AbortController();

let asked: HelperRequest[];
let wanted: unknown[];
let fetched: string[];
let checkpoint: unknown;
let slept: number[];

beforeEach(() => {
  asked = [];
  wanted = [];
  fetched = [];
  checkpoint = undefined;
  slept = [];
});

const releases = (version: string): Releases => ({
  find: async (wish) => {
    wanted.push(wish);
    return { version, stage: async () => void fetched.push(version) };
  },
});

/** @param answers of the helper, one after another */
function contextWith(answers: readonly UpgradeState[], version = NEW): CommandContext {
  const left = [...answers];
  return {
    ...unusedCommandDeps(),
    clock: {
      ...systemClock,
      sleep: async (ms) => {
        slept.push(ms);
        return true;
      },
    },
    askHelper: async (request) => {
      asked.push(request);
      return { ...(left.shift() ?? { state: 'none' }) };
    },
    releases: releases(version),
    commandId: 'command-1',
    signal,
    stopping: signal,
    log: memoryLog(),
    checkpoint,
    setCheckpoint: async (value) => {
      checkpoint = value;
    },
    progress: () => undefined,
  };
}

const run = (context: CommandContext, payload: object = { jitter_seconds: 0 }) =>
  upgradeAgentCommand.prepare(payload).run(context);

const ended = (outcome: 'done' | 'went-back' | 'stuck', why: string | null): UpgradeState => ({
  ...{ state: 'ended', outcome, from: BUILD.version, to: NEW, why, took_ms: 5_000 },
});

test('the release is fetched, the helper changes to it, and the result has both versions', async () => {
  const context = contextWith([{ state: 'none' }, UNDER_WAY, UNDER_WAY, ended('done', null)]);
  const outcome = await run(context, { channel: 'beta', jitter_seconds: 0 });
  expect({ wanted, fetched, asked, outcome, checkpoint }).toEqual({
    wanted: [{ version: undefined, channel: 'beta' }],
    fetched: [NEW],
    asked: [
      { verb: 'upgrade_outcome', command_id: 'command-1' },
      { verb: 'upgrade_agent', command_id: 'command-1', version: NEW },
      { verb: 'upgrade_outcome', command_id: 'command-1' },
      { verb: 'upgrade_outcome', command_id: 'command-1' },
    ],
    outcome: {
      output: `pipeops-agent ${NEW} runs here now, in place of ${BUILD.version}`,
      data: { changed: true, from: BUILD.version, version: NEW, took_ms: 5_000 },
    },
    checkpoint: { node: 'node-1', from: BUILD.version, version: NEW },
  });
});

test('the daemon that runs afterwards tells how it went, and fetches nothing', async () => {
  checkpoint = { node: 'node-1', from: BUILD.version, version: NEW };
  const outcome = await run(contextWith([UNDER_WAY, ended('went-back', 'it does not answer')]));
  expect({ wanted, asked: asked.map(({ verb }) => verb), outcome }).toEqual({
    wanted: [],
    asked: ['upgrade_outcome', 'upgrade_outcome'],
    outcome: {
      output: `${NEW} was not well here, and ${BUILD.version} runs again: it does not answer`,
      data: { changed: false, from: BUILD.version, version: BUILD.version, took_ms: 5_000 },
      failure: expect.objectContaining({ code: 'UPGRADE_FAILED' }),
    },
  });
});

test('a daemon that died before it asked the helper asks it now', async () => {
  checkpoint = { node: 'node-1', from: BUILD.version, version: NEW };
  await run(contextWith([{ state: 'none' }, UNDER_WAY, ended('done', null)]));
  expect(asked.map(({ verb }) => verb)).toEqual([
    'upgrade_outcome',
    'upgrade_agent',
    'upgrade_outcome',
  ]);
});

test('the version that runs is no change', async () => {
  const outcome = await run(contextWith([], BUILD.version));
  expect([outcome.data, asked, fetched]).toEqual([
    { changed: false, from: BUILD.version, version: BUILD.version },
    [],
    [],
  ]);
});

test('a server that has taken the session over does not change its own version for it', async () => {
  checkpoint = { node: 'node-2', from: BUILD.version, version: NEW };
  expect(await failureOf(() => run(contextWith([])))).toMatchObject({
    code: 'COMMAND_OUTCOME_UNKNOWN',
    message: `The agent of node-2 was being changed to ${NEW} when node-1 took the session over`,
  });
  expect(asked).toEqual([]);
});

test('it begins at a moment of its own, the same at each attempt', async () => {
  const begin = async (commandId: string) => {
    slept = [];
    await run({ ...contextWith([], BUILD.version), commandId }, { jitter_seconds: 60 });
    return slept;
  };
  const [first, again, other] = [await begin('a'), await begin('a'), await begin('b')];
  expect(first).toEqual(again);
  expect(first).not.toEqual(other);
  expect(first.concat(other).every((ms) => ms > 0 && ms < 60_000)).toBe(true);
});

test.each([
  [{ version: '../1' }],
  [{ channel: 'Stable!' }],
  [{ jitter_seconds: 3_601 }],
  [{ from: '1' }],
])('refuses %j', (payload) => {
  expect(() => upgradeAgentCommand.prepare(payload)).toThrow('Cannot run "upgrade_agent"');
});
