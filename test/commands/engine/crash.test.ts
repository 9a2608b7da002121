/**
 * The agent dies, by SIGKILL, just before and just after every commit of its journal, with a
 * command of every type: what a second life makes of it.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMAND_HANDLERS } from '../../../src/commands/registry.ts';
import type { CommandResult } from '../../../src/protocol/rest.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../../support/fake-kubernetes.ts';
import { sampled } from '../../support/sampled.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';
import { sampleOf } from '../command-samples.ts';
import { type EngineLife, liveOnce } from './crashing-program.ts';

const PROGRAM = join(import.meta.dir, 'crashing-program.ts');
/** Types whose second run tells of the effects of the first, too. */
const TELL_THE_WHOLE = ['cordon', 'uncordon', 'drain', 'delete', 'rollback'];
/** Lives that are killed at the same time. */
const AT_ONCE = 3;
/** Of about ten. */
const POINTS_OF_A_TYPE = 3;

let kubernetes: FakeKubernetes;
beforeEach(async () => {
  kubernetes = await startFakeKubernetes();
});
afterEach(async () => await kubernetes[Symbol.asyncDispose]());

function lifeOf(directory: TempDirectory, type: string, namespace: string): EngineLife {
  const sample = sampleOf(type, namespace);
  if (sample === undefined) {
    throw new Error(`command-samples.ts has no sample of "${type}"`);
  }
  sample.prepare?.(kubernetes, namespace);
  const access = { server: kubernetes.url, ca: kubernetes.ca, token: kubernetes.token };
  return {
    directory: directory.path,
    kubernetes: access,
    command: { id: 'command-1', type, payload: sample.payload },
  };
}

/** The distinct results that the control plane got. */
function received(directory: TempDirectory): readonly CommandResult[] {
  const path = join(directory.path, 'received');
  const lines = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  return [...new Set(lines)].map((line) => JSON.parse(line).result);
}

/** What the command made of each object: how often its spec changed, and to what. */
function effects(namespace: string): unknown {
  const own = kubernetes.requests.filter((request) => request.split(/[/?]/).includes(namespace));
  const written = own.filter((request) => !request.startsWith('GET '));
  const paths = [...new Set(written.map((request) => request.split(' ')[1] ?? ''))].sort();
  const objects = paths.map((path) => {
    const object = kubernetes.object(path);
    return { path, generation: object?.metadata['generation'], spec: object?.spec };
  });
  return JSON.parse(JSON.stringify(objects).replaceAll(namespace, 'NAMESPACE'));
}

const dataOf = (results: readonly CommandResult[]) =>
  JSON.stringify(results[0]?.data).replaceAll(/[a-z]+-(whole|before|after)[-0-9]*/g, 'NAMESPACE');

const runsOf = (namespace: string) =>
  kubernetes.requests.filter((each) => each.includes(`/${namespace}/`) && each.endsWith('/exec'))
    .length;

async function undisturbed(type: string) {
  await using directory = await tempDirectory();
  const namespace = `${type.replace('_', '-')}-whole`;
  let commits = 0;
  await liveOnce(lifeOf(directory, type, namespace), (commit) => {
    commits = commit;
  });
  const results = received(directory);
  return { commits, results, effects: effects(namespace), runs: runsOf(namespace) };
}

async function killedAt(type: string, commit: number, when: string) {
  await using directory = await tempDirectory();
  const namespace = `${type.replace('_', '-')}-${when}-${commit}`;
  const life = lifeOf(directory, type, namespace);
  const killed = Bun.spawn([process.execPath, PROGRAM, JSON.stringify(life), `${commit}`, when], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  await killed.exited;
  expect({ commit, when, signal: killed.signalCode }).toEqual({ commit, when, signal: 'SIGKILL' });
  await liveOnce(life, () => undefined);
  return { results: received(directory), effects: effects(namespace), runs: runsOf(namespace) };
}

describe.each(COMMAND_HANDLERS.map(({ type, afterRestart }) => ({ type, afterRestart })))(
  'a $type whose agent is killed at any commit',
  ({ type, afterRestart }) => {
    test('has one result, and its effect once', async () => {
      const whole = await undisturbed(type);
      const [wholeResult] = whole.results;
      expect({ success: wholeResult?.success, runs: whole.runs }).toEqual({
        success: true,
        runs: type === 'exec' ? 1 : 0,
      });
      // Accepted, begun, ended, delivered; and what the handler notes.
      expect(whole.commits).toBeGreaterThanOrEqual(4);
      const everyPoint = Array.from({ length: whole.commits }, (_, index) => index + 1).flatMap(
        (commit) => ['before', 'after'].map((when) => ({ commit, when })),
      );
      const points = sampled(everyPoint, POINTS_OF_A_TYPE);
      for (let first = 0; first < points.length; first += AT_ONCE) {
        await Promise.all(
          points.slice(first, first + AT_ONCE).map(async ({ commit, when }) => {
            const { results, effects: made, runs } = await killedAt(type, commit, when);
            const begun = when === 'after' ? commit >= 2 : commit > 2;
            const ended = when === 'after' ? commit >= whole.commits - 1 : commit >= whole.commits;
            const unknown = afterRestart === 'fail' && begun && !ended;
            const outcomes = results.map(({ success, error_code }) => ({ success, error_code }));
            expect<unknown>({ commit, when, outcomes }).toEqual({
              commit,
              when,
              outcomes: [
                unknown
                  ? { success: false, error_code: 'COMMAND_OUTCOME_UNKNOWN' }
                  : { success: wholeResult?.success, error_code: wholeResult?.error_code },
              ],
            });
            if (afterRestart === 'fail') {
              expect(unknown ? Math.min(runs, 1) : 1).toBe(runs);
            } else {
              expect({ commit, when, made }).toEqual({ commit, when, made: whole.effects });
            }
            if (TELL_THE_WHOLE.includes(type)) {
              expect({ commit, when, data: dataOf(results) }).toEqual({
                commit,
                when,
                data: dataOf(whole.results),
              });
            }
          }),
        );
      }
    }, 60_000);
  },
);
