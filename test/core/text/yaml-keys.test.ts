import { expect, test } from 'bun:test';
import { duplicateKeys, lineOf, yamlKeys } from '../../../src/core/text/yaml-keys.ts';

test.each([
  ['a section', 'http:\n  port: 1\nlog:\n  level: info\nhttp:\n  port: 2\n', ['line 5: http']],
  ['a setting', 'http:\n  port: 1\n  # here\n\n  port: 2\n', ['line 5: http.port']],
  ['a setting in another style', 'http:\n  port: 1\n  "port": 2\n', ['line 3: http.port']],
  ['a label', 'agent:\n  labels:\n    a: 1\n    b: 2\n    a: 3\n', ['line 5: agent.labels.a']],
  ['a key in braces', 'http: {port: 1, port: 2}\n', ['line 1: http.port']],
  ['a key in JSON over lines', '{"http": {\n "port": 1,\n "port": 2}}\n', ['line 3: http.port']],
  ['a key of a list item', 'list:\n  - a: 1\n    a: 2\n', ['line 3: list.a']],
  ['two of them', 'a: 1\na: 2\nb: 1\nb: 2\n', ['line 2: a', 'line 4: b']],
])('finds %s that stands twice', (_, text, found) => {
  expect(duplicateKeys(text)).toEqual(found.map((each) => `${each} stands there twice`));
  expect(() => Bun.YAML.parse(text)).not.toThrow();
});

test.each([
  ['the same name in two sections', 'http:\n  port: 1\nother:\n  port: 2\n'],
  ['the same name at two depths', 'a:\n  a:\n    a: 1\n'],
  ['items of a list', 'list:\n  - a: 1\n    b: 1\n  - a: 2\nlist2: [{a: 1}, {a: 2}]\n'],
  ['items without an indent', 'list:\n- a: 1\n- a: 2\n'],
  ['a comment and an address', '# a: 1\na: http://b:8080 # a: 2\n'],
  ['a text over lines', 'a: |\n  a: 1\n  a: 2\nb: 1\n'],
  ['quoted text', 'a: "b: 1, b: 2"\nc: {d: "e: 1", f: \'d: 2\'}\n'],
  ['an address in braces', 'a: {b: http://c:1, d: http://c:1}\n'],
  ['nothing', ''],
])('finds nothing in %s', (_, text) => {
  expect(duplicateKeys(text)).toEqual([]);
});

test.each([
  ['http:\n  port: 1\n', ['1 http', '2 http.port']],
  ['# here\nhttp: {port: 1,\n  tls_port: 2}\n', ['2 http', '2 http.port', '3 http.tls_port']],
  ['{"http": {\n "port": 1}, "log": {}}\n', ['1 http', '2 http.port', '2 log']],
  ['a:\n- {b: {c: [d, {e: 1}]}}\nf: 1\n', ['1 a', '2 a.b', '2 a.b.c', '2 a.b.c.e', '3 f']],
  ['a:\n  - b: 1\n    c:\n      d: 2\n  - b: 3\n', ['1 a', '2 a.b', '3 a.c', '4 a.c.d', '5 a.b']],
  ['a: |\n  b: 1\nc: "d: 1"\n', ['1 a', '3 c']],
])('tells the line of each key: %j', (text, keys) => {
  expect(yamlKeys(text).map(({ line, path }) => `${line} ${path}`)).toEqual(keys);
});

test('tells the first line of a path, or nothing', () => {
  const keys = yamlKeys('list:\n  - a: 1\n  - a: 2\n');
  expect([lineOf(keys, 'list.a'), lineOf(keys, 'list.b')]).toEqual(['line 2: ', '']);
});
