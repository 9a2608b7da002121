import { afterEach, beforeEach, expect, test } from 'bun:test';
import { chmod, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { certify } from '../../scripts/release/key-directory.ts';
import { type TestKeys, testKeys } from '../support/test-release.ts';

const NOW = new Date('2026-01-01T00:00:00.000Z');

let keys: TestKeys;
beforeEach(async () => {
  keys = await testKeys(NOW);
});
afterEach(() => keys[Symbol.asyncDispose]());

const next = () => certify(keys.directory, { now: NOW, days: 1 });

test('without the key before, no key is made: a number that was used replaces nothing', async () => {
  const path = join(keys.directory, 'release-key.json');
  await rm(path);
  await expect(next()).rejects.toThrow(
    `There is no ${path}: bring that of the key before, whose number counts`,
  );
  expect(await Bun.file(path).exists()).toBe(false);
});

test('a new key is secret, whoever could read the one before', async () => {
  const path = join(keys.directory, 'release.key.pem');
  await chmod(path, 0o644);
  expect(await next()).toBe(2);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});
