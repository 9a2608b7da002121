import { expect, test } from 'bun:test';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Files } from '../../src/core/ports.ts';
import { matchesGlob } from '../../src/core/text/glob.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { livePolicy, POLICY_RELOAD_MS } from '../../src/policy/live.ts';
import { parsePolicyFile } from '../../src/policy/read-file.ts';
import { failureOf } from '../support/failure-of.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { tempDirectory } from '../support/temp-dir.ts';

const problemsOf = async (text: string) => {
  const failure = await failureOf(async () => parsePolicyFile(text, '/p.yaml'));
  return { code: failure.code, problems: failure.details?.['problems'] };
};

test('every mistake is named at once, with suggestions', async () => {
  expect(
    await problemsOf(
      'preset: standrd\nexce: true\nnamespaces: {alow: [a], deny: ["A b"]}\n' +
        'proxy: {path: {}}\nsecrets: {read: maybe}\ncommands: {deny: [fly]}\nresources: [{grp: x}]\n',
    ),
  ).toEqual({
    code: 'POLICY_INVALID',
    problems: expect.arrayContaining([
      'preset: must be one of read-only, standard, operate',
      expect.stringContaining('commands.deny.0: must be one of get_resources'),
      'line 2: exce: is not a key, did you mean "exec"?',
      'line 3: namespaces.alow: is not a key, did you mean "allow"?',
      'namespaces.deny.0: must be a namespace, in which * stands for any characters',
      'line 4: proxy.path: is not a key, did you mean "paths"?',
      expect.stringContaining('secrets.read'),
      expect.stringContaining('resources.0.group'),
      expect.stringMatching(/^line 7: resources\.0\.grp: is not a key/),
    ]),
  });
});

test('what contradicts itself, or is never allowed, is refused', async () => {
  expect(
    await problemsOf(
      'commands: {allow: [exec]}\nnamespaces: {allow: [kube-system]}\n' +
        'resources: [{group: rbac.authorization.k8s.io, resource: clusterroles, write: true}, {group: "", resource: secrets}]',
    ),
  ).toEqual({
    code: 'POLICY_INVALID',
    problems: [
      'commands.allow: "exec" needs exec: true',
      'namespaces.allow: "kube-system" is always protected',
      'resources.0: "clusterroles.rbac.authorization.k8s.io" is never allowed',
      'resources.1: "secrets" is never allowed',
    ],
  });
  const never = [
    ...['upgrade.cattle.io', 'helm.cattle.io', 'catalog.cattle.io'].map((group) => [group, 'x']),
    ['admissionregistration.k8s.io', '*'],
    ...['*', '*/token', '*/proxy', 'nodes/proxy', 'nodes/status', 'serviceaccounts/token'].map(
      (resource) => ['', resource],
    ),
    ...['pods/exec', 'pods/binding', 'bindings', 'services/proxy', 'namespaces/finalize'].map(
      (resource) => ['', resource],
    ),
  ];
  const entries = never.map(([group, resource]) => ({ group, resource, verbs: ['get'] }));
  expect(await problemsOf(JSON.stringify({ resources: entries }))).toEqual({
    code: 'POLICY_INVALID',
    problems: entries.map(
      ({ group, resource }, index) =>
        `resources.${index}: "${[resource, group].filter(Boolean).join('.')}" is never allowed`,
    ),
  });
  expect(
    await problemsOf('resources: [{group: a.io, resource: "*", write: true, verbs: [get]}]'),
  ).toEqual({
    code: 'POLICY_INVALID',
    problems: ['resources.0: give write or verbs, not both'],
  });
  expect(await problemsOf('preset: read-only\ncommands: {allow: [deploy]}\nexec: true')).toEqual({
    code: 'POLICY_INVALID',
    problems: [
      'commands.allow: preset read-only does not allow "deploy"',
      'exec: preset read-only changes nothing',
    ],
  });
  for (const text of ['[1, 2]', 'preset: [', '"text"', '{a: &a [*a]}']) {
    expect((await problemsOf(text)).code).toBe('POLICY_INVALID');
  }
});

test('globs match whole texts, in bounded time', () => {
  const cases: [string, string, boolean][] = [
    ['*', '', true],
    ['shop', 'shop', true],
    ['shop', 'shop2', false],
    ['shop*', 'shop', true],
    ['*-test', 'a-test-test', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['', 'x', false],
  ];
  expect(cases.map(([pattern, text]) => matchesGlob(pattern, text))).toEqual(
    cases.map(([, , matches]) => matches),
  );
  expect(matchesGlob(`${'*a'.repeat(100)}b`, 'a'.repeat(4_000))).toBe(false);
});

test('a changed file is taken up without a restart; one that is wrong refuses everything', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'policy.yaml');
  const [clock, log] = [manualClock(), memoryLog()];
  const live = await livePolicy({ clock, log, files: systemFiles('/') }, path);
  const stop = new AbortController();
  const running = await live.start(stop.signal);
  const exec = () => live.policy.command({ type: 'exec', namespace: 'shop' });
  const afterReload = async () => {
    await clock.whenSleeping(1);
    clock.advance(POLICY_RELOAD_MS);
    await clock.whenSleeping(1);
  };
  expect([exec().allowed, live.problem()]).toEqual([false, undefined]);

  await writeFile(path, 'preset: operate\n', { mode: 0o640 });
  await afterReload();
  expect(exec().allowed).toBe(true);

  await writeFile(path, 'preset: operatee\n');
  await afterReload();
  expect(exec()).toMatchObject({ allowed: false, rule: 'file/invalid' });
  expect(live.policy.request('GET', '/version', false)).toMatchObject({ rule: 'file/invalid' });
  expect(live.problem()).toMatchObject({ code: 'POLICY_INVALID' });

  await writeFile(path, 'preset: operate\n');
  await chmod(path, 0o666);
  await afterReload();
  expect(live.problem()?.message).toContain('others than its owner can write to it');
  stop.abort();
  await running.done;
});

test('reload() takes up what stands in the file when it is asked, also during a read of what was before', async () => {
  const held = Promise.withResolvers<void>();
  let [preset, reads] = ['standard', 0];
  const files: Files = {
    ...systemFiles('/'),
    stat: async () => undefined,
    readText: async () => {
      const text = `preset: ${preset}\n`;
      reads += 1;
      await (reads === 2 ? held.promise : undefined);
      return text;
    },
  };
  const live = await livePolicy({ clock: manualClock(), log: memoryLog(), files }, '/p.yaml');
  const mayExec = () => live.policy.command({ type: 'exec', namespace: 'shop' }).allowed;

  const first = live.reload();
  await nextTurn();
  expect(reads).toBe(2);
  preset = 'operate';
  const later = Array.from({ length: 100 }, () => live.reload());
  await nextTurn();
  held.resolve();
  await first;
  await Promise.all(later);
  expect([mayExec(), reads]).toEqual([true, 3]);
});

/** What waits for nothing outside of this process has ended by then. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
