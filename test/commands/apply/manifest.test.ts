import { describe, expect, test } from 'bun:test';
import { MANIFEST_DOCUMENTS_MAX } from '../../../src/commands/apply/documents.ts';
import {
  contentOf,
  MANIFEST_OBJECTS_MAX,
  MANIFEST_READER,
  type ManifestText,
  OBJECT_VALUES_MAX,
  parseManifest,
  READ_HERE_CHARS_MAX,
  readManifest,
} from '../../../src/commands/apply/manifest.ts';
import { MANIFEST_LIMIT_BYTES, OBJECT_LIMIT_BYTES } from '../../../src/protocol/commands/apply.ts';
import { failureOf } from '../../support/failure-of.ts';

const NEVER = new AbortController().signal;
const elsewhere: string[] = [];
/** Here, as it would be read there. */
const workElsewhere = async <Answer>(module: string, request: unknown): Promise<Answer> => {
  elsewhere.push(module);
  return readManifest(request as ManifestText) as Answer;
};

const parse = (text: string, namespace?: string) =>
  parseManifest({ workElsewhere }, { text, namespace }, NEVER);

const configMap = (name: string, more = '') =>
  `{apiVersion: v1, kind: ConfigMap, metadata: {name: ${name}${more}}}`;

const configMapWith = (name: string, text: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { text },
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

  test('takes objects of JSON one behind the other', async () => {
    const text = ['a', 'b}{"'].map((value) => JSON.stringify(configMapWith('c', value), null, 1));
    const objects = await parse(`\n${text.join('\n')}\n---\n${configMap('d')}`);
    expect(objects.map((object) => [object.name, contentOf(object)['data']])).toEqual([
      ['c', { text: 'a' }],
      ['c', { text: 'b}{"' }],
      ['d', undefined],
    ]);
    expect(await problemsOf(`${text.join('')} x`)).toHaveLength(1);
  });

  test('takes JSON, and keeps three dashes inside of a line', async () => {
    const content = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a' },
      data: { key: '--- no end\n --- none either' },
    };
    expect((await parse(JSON.stringify(content, null, 2))).map(contentOf)).toEqual([content]);
  });

  test('reads scalars as Kubernetes does, and takes the values of 64 bits exactly', async () => {
    const [object] = await parse(`
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: ""}
spec:
  hostNetwork: no
  volumes: [{secret: {defaultMode: 0400}}]
  limit: 9223372036854775807
  text: [ "0400", 'no', 1.2.3, 2026-01-01, 0x, 1__0, .5., "\u00e9" ]
`);
    expect(object?.namespace).toBeUndefined();
    expect(JSON.parse(object?.json ?? '').spec.volumes).toEqual([{ secret: { defaultMode: 256 } }]);
    expect(object?.json).toContain(
      '{"hostNetwork":false,"volumes":[{"secret":{"defaultMode":256}}],' +
        '"limit":9223372036854775807,' +
        '"text":["0400","no","1.2.3","2026-01-01","0x",10,".5.","é"]}',
    );
    const json =
      '{"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}, "n": -9007199254740993}';
    const [exact] = await parse(json);
    expect(exact?.json).toContain('"n":-9007199254740993');
    expect(JSON.stringify((await parse(json)).map(contentOf))).toBe(`[${exact?.json}]`);
  });

  test('takes the same object twice, names as long as Kubernetes does, and comments behind dashes', async () => {
    const long = 'a'.repeat(253);
    const twice = [configMap('a'), configMap(long), configMap('a')].join('\n--- # next\n');
    expect((await parse(twice)).map(({ name }) => name)).toEqual(['a', long, 'a']);
    expect(await problemsOf(configMap(`${long}a`))).toHaveLength(1);
    expect(await problemsOf(`${configMap('a')}\n--- x\n`)).toEqual([
      'document 1: "--- x" ends no document: only a comment may follow the dashes',
    ]);
  });

  test('tells every problem at once', async () => {
    const text = [
      configMap('Not_a_name'),
      'a: [',
      'kind: ConfigMap',
      configMap('a', ', namespace: UPPER'),
      configMap('b', ', namespace: other'),
      configMap('c'),
      '{apiVersion: ../../v1, kind: ConfigMap, metadata: {name: d}}',
    ].join('\n---\n');
    expect(await problemsOf(text, 'shop')).toEqual([
      expect.stringMatching(/^document 2: /),
      'object 1: ConfigMap "Not_a_name": the name must be lower-case letters, digits, "-" and "." (RFC 1123)',
      'object 2: needs apiVersion, kind and metadata.name',
      'object 3: ConfigMap "a": "UPPER" is no name of a namespace (RFC 1123)',
      'object 4: ConfigMap "b": is for namespace "other", the command for "shop"',
      'object 6: ConfigMap "d": "../../v1" is no apiVersion',
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

  test('takes one document as large as the manifest, in JSON and in YAML', async () => {
    const text = 'x'.repeat(OBJECT_LIMIT_BYTES / 2);
    const named = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
    const items = named.map((name) => JSON.stringify(configMapWith(name, text)));
    const large = `{"kind": "List", "items": [${items.join(',')}]}`;
    expect(large.length).toBeGreaterThan(MANIFEST_LIMIT_BYTES * 0.9);
    for (const manifest of [large, `# YAML\n${large}`]) {
      expect((await parse(manifest)).map(({ name }) => name)).toEqual(named);
    }
  });

  test('takes an object as large as etcd does, and refuses a larger one by its name', async () => {
    const surround = JSON.stringify(configMapWith('large', '')).length;
    const sized = (bytes: number) =>
      `${configMap('small')}\n---\n# YAML\n${JSON.stringify(configMapWith('large', 'é'.repeat((bytes - surround) >> 1).padEnd((bytes - surround) >> 1, 'x')))}`;
    const just = (OBJECT_LIMIT_BYTES - surround) % 2 === 0 ? 0 : 1;
    expect((await parse(sized(OBJECT_LIMIT_BYTES - just))).map(({ name }) => name)).toEqual([
      'small',
      'large',
    ]);
    const bytes = OBJECT_LIMIT_BYTES - just + 2;
    expect(await problemsOf(sized(bytes))).toEqual([
      `object 2: ConfigMap "large": has ${bytes} bytes as JSON, Kubernetes keeps objects of at most ${OBJECT_LIMIT_BYTES}`,
    ]);
  });

  test('refuses an object of too many values by its name', async () => {
    const withList = (values: number) =>
      `{"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}, "spec": [${'1,'.repeat(values - 7)}1]}`;
    expect(await parse(withList(OBJECT_VALUES_MAX))).toHaveLength(1);
    expect(await problemsOf(withList(OBJECT_VALUES_MAX + 1))).toEqual([
      `object 1: A "a": has ${OBJECT_VALUES_MAX + 1} values, at most ${OBJECT_VALUES_MAX} fit`,
    ]);
  });

  test('refuses texts that references blow up', async () => {
    const words = Array.from({ length: 300 }, () => '*a').join(', ');
    const bomb = `# YAML\na: &a "${'x'.repeat(100_000)}"\nb: [${words}]`;
    expect(await problemsOf(bomb)).toContainEqual(
      expect.stringMatching(/^document 1: has too many values .*, too much text/),
    );
  });

  test('reads here what is short, and elsewhere what is long', async () => {
    for (const chars of [READ_HERE_CHARS_MAX, READ_HERE_CHARS_MAX + 1]) {
      elsewhere.length = 0;
      expect(await parse(configMap('a').padEnd(chars))).toHaveLength(1);
      expect(elsewhere).toEqual(chars > READ_HERE_CHARS_MAX ? [MANIFEST_READER] : []);
    }
  });

  test('refuses references that blow up, and what is nested without end', async () => {
    const levels = Array.from({ length: 30 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}]`);
    const bomb = `a0: &a0 [x, x]\n${levels.join('\n')}`;
    expect(await problemsOf(bomb)).toContainEqual(
      expect.stringMatching(/^document 1: has too many values/),
    );
    const deep = `{apiVersion: v1, kind: A, metadata: {name: a}, spec: ${'['.repeat(200)}${']'.repeat(200)}}`;
    expect(await problemsOf(deep)).toEqual(['document 1: nesting exceeded maxDepth (100), line 1']);
    expect(await problemsOf('['.repeat(1_000_000))).toEqual([
      expect.stringMatching(/^document 1: /),
    ]);
  });
});
