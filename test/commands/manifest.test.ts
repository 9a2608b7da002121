import { describe, expect, test } from 'bun:test';
import {
  MANIFEST_DOCUMENTS_MAX,
  MANIFEST_OBJECTS_MAX,
  parseManifest,
  YAML_DOCUMENT_CHARS_MAX,
} from '../../src/commands/manifest.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { failureOf } from '../support/failure-of.ts';

const parse = (text: string, namespace?: string) =>
  parseManifest({ clock: systemClock }, text, namespace);

const configMap = (name: string, more = '') =>
  `{apiVersion: v1, kind: ConfigMap, metadata: {name: ${name}${more}}}`;

const configMapWith = (name: string, text: string) => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap' },
  ...{ metadata: { name }, data: { text } },
});

const problemsOf = async (text: string, namespace?: string) =>
  (await failureOf(() => parse(text, namespace))).details?.['problems'];

describe('parseManifest()', () => {
  test('takes many documents, Lists apart, and leaves out those of comments', async () => {
    const text = `# settings
---
${configMap('a')}
---
# nothing
---
apiVersion: v1
kind: List
items:
  - ${configMap('b', ', namespace: shop')}
  - {apiVersion: v1, kind: ConfigMapList, items: [${configMap('c')}]}
`;
    const objects = await parse(text);
    expect(objects.map(({ name, namespace }) => [name, namespace])).toEqual([
      ['a', undefined],
      ['b', 'shop'],
      ['c', undefined],
    ]);
  });

  test('takes JSON, and keeps three dashes inside of a line', async () => {
    const content = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a' },
      data: { key: '--- no end\n --- none either' },
    };
    const [object] = await parse(JSON.stringify(content, null, 2));
    expect(object?.content).toEqual(content);
  });

  test('tells every problem at once', async () => {
    const text = [
      configMap('Not_a_name'),
      'a: [',
      'kind: ConfigMap',
      configMap('a', ', namespace: UPPER'),
      configMap('b', ', namespace: other'),
      configMap('c'),
      configMap('c'),
      '{apiVersion: ../../v1, kind: ConfigMap, metadata: {name: d}}',
    ].join('\n---\n');
    expect(await problemsOf(text, 'shop')).toEqual([
      expect.stringMatching(/^document 2: /),
      'object 1: ConfigMap "Not_a_name": the name must be lower-case letters, digits, "-" and "." (RFC 1123)',
      'object 2: needs apiVersion, kind and metadata.name',
      'object 3: ConfigMap "a": "UPPER" is no name of a namespace (RFC 1123)',
      'object 4: ConfigMap "b": is for namespace "other", the command for "shop"',
      'object 7: ConfigMap "d": "../../v1" is no apiVersion',
      'ConfigMap "c": is there twice',
    ]);
  });

  test('refuses a manifest without objects, and one with too many', async () => {
    expect(await problemsOf('# nothing')).toEqual(['manifest: there is no object in it']);
    const many = Array.from({ length: MANIFEST_OBJECTS_MAX + 1 }, (_, n) => configMap(`c${n}`));
    expect(await problemsOf(`{kind: List, items: [${many.join(', ')}]}`)).toEqual([
      `manifest: has ${MANIFEST_OBJECTS_MAX + 1} objects, at most ${MANIFEST_OBJECTS_MAX} fit`,
    ]);
  });

  test('refuses a manifest of nothing but document ends, at once', async () => {
    expect(await problemsOf('---\n'.repeat(700_000))).toEqual([
      `manifest: has 700001 documents, at most ${MANIFEST_DOCUMENTS_MAX} fit`,
    ]);
  });

  test('tells the first hundred of very many problems', async () => {
    const problems = await problemsOf('kind: A\n---\n'.repeat(500));
    expect(problems).toHaveLength(101);
    expect(problems).toContain('and 400 more problems');
  });

  test('takes a document as large as the manifest in JSON; in YAML it wants several', async () => {
    const text = 'x'.repeat(YAML_DOCUMENT_CHARS_MAX);
    const list = (items: readonly string[]) => `{"kind": "List", "items": [${items.join(',')}]}`;
    const large = list(['a', 'b'].map((name) => JSON.stringify(configMapWith(name, text))));
    expect((await parse(large)).map(({ name }) => name)).toEqual(['a', 'b']);
    expect(await problemsOf(`# YAML\n${large}`)).toEqual([
      expect.stringMatching(/^document 1: has \d+ characters of YAML, at most 1 MiB fit/),
    ]);
  });

  test('refuses references that blow up, and what is nested without end', async () => {
    const levels = Array.from({ length: 30 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}]`);
    const bomb = `a0: &a0 [x, x]\n${levels.join('\n')}`;
    expect(await problemsOf(bomb)).toContainEqual(expect.stringMatching(/^document 1: .*aliasing/));
    const deep = `{apiVersion: v1, kind: A, metadata: {name: a}, spec: ${'['.repeat(200)}${']'.repeat(200)}}`;
    expect(await problemsOf(deep)).toEqual([
      'document 1: has too many values (500000 in all), or is nested too deep',
    ]);
    expect(await problemsOf('['.repeat(1_000_000))).toEqual([
      expect.stringMatching(/^document 1: /),
    ]);
  });
});
