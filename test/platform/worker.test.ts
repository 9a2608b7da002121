import { describe, expect, test } from 'bun:test';
import type { ManifestText, ReadManifest } from '../../src/commands/apply/manifest.ts';
import { workElsewhere } from '../../src/platform/worker.ts';
import { failureOf } from '../support/failure-of.ts';

const NEVER = new AbortController().signal;
const read = (text: string, signal: AbortSignal) => {
  const manifest: ManifestText = { text, namespace: undefined };
  return workElsewhere<ReadManifest>('commands/apply/worker', manifest, signal);
};

describe('workElsewhere()', () => {
  test('answers what the module made of the request', async () => {
    expect(await read('{apiVersion: v1, kind: A, metadata: {name: a}}', NEVER)).toEqual({
      objects: [
        {
          ...{ apiVersion: 'v1', kind: 'A', name: 'a', namespace: undefined },
          json: '{"apiVersion":"v1","kind":"A","metadata":{"name":"a"}}',
        },
      ],
      problems: [],
    });
  });

  test('ends with the signal', async () => {
    const cancel = new AbortController();
    const failure = failureOf(() => read('- a\n'.repeat(1_000_000), cancel.signal));
    cancel.abort();
    expect((await failure).code).toBe('INTERRUPTED');
    expect((await failureOf(() => read('a', cancel.signal))).code).toBe('INTERRUPTED');
  });

  test('says so when the thread fails', async () => {
    const failure = await failureOf(() => workElsewhere('commands/no-such-module', {}, NEVER));
    expect(failure.code).toBe('INTERNAL');
  });
});
