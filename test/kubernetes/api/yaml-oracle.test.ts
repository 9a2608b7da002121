/** What is read of a manifest is what Kubernetes' own decoder reads of it, or nothing. */
import { expect, test } from 'bun:test';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Glob } from 'bun';
import { readDocuments } from '../../../src/commands/apply/documents.ts';
import { generatedYaml } from '../../support/generated-yaml.ts';
import { sampled } from '../../support/sampled.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { askYamlPeer, type YamlQuestion } from '../../support/yaml-peer.ts';

const SEED = Number(process.env['YAML_SEED'] ?? Date.now() % 1_000_000);
const DOCUMENTS = Number(process.env['YAML_DOCUMENTS'] ?? 10_000);
/** Kubernetes' parser refuses "\\/" and a "?" in flow: JSON and YAML 1.2 have them, with one meaning. */
const LENIENT =
  /found unknown escape character|found invalid Unicode character|did not find expected ',' or '[}\]]'/;
const TIMEOUT_MS = 900_000;

function readOf(text: string): YamlQuestion {
  const values: unknown[] = [];
  for (const read of readDocuments(text)) {
    if (typeof read === 'string') {
      return { text, json: null };
    }
    values.push(...read);
  }
  return { text, json: values.map((value) => JSON.stringify(value)) };
}

/** Of what was read: each text that Kubernetes reads differently, or refuses. */
async function differences(questions: readonly YamlQuestion[]) {
  const answers = await askYamlPeer(questions);
  return questions.flatMap(({ text, json }, index) => {
    const { differs, error } = answers[index] ?? { error: 'no answer' };
    const refuses = error !== undefined && !LENIENT.test(error);
    const wrong = json !== null && (differs !== undefined || refuses);
    return wrong ? [{ text, json, differs, error }] : [];
  });
}

test(
  `generated YAML (YAML_SEED=${SEED})`,
  async () => {
    const random = seededRandom(SEED);
    const questions: YamlQuestion[] = [];
    for (let index = 0; index < DOCUMENTS; index += 1) {
      questions.push(readOf(generatedYaml(random)));
    }
    expect((await differences(questions)).slice(0, 3)).toEqual([]);
    const refused = questions.filter(({ json }) => json === null);
    const alsoRefused = (await askYamlPeer(refused)).filter(({ error }) => error !== undefined);
    // What is refused although Kubernetes takes it is rare, or the parser is the wrong one.
    expect(refused.length - alsoRefused.length).toBeLessThanOrEqual(DOCUMENTS / 100);
  },
  TIMEOUT_MS,
);

test(
  'numbers with an exponent, of JSON and of YAML',
  async () => {
    const texts = [
      '{"a": 1e-10, "b": 1e+10, "c": 1.2e10, "d": 1e22}',
      'a: 1e+10\nb: 1e3\nc: 12e03\n',
    ];
    expect(await differences(texts.map(readOf))).toEqual([]);
    const wrong = { text: '{"a": 1e10}', json: ['{"a":10000000001}'] };
    expect(await differences([wrong])).toMatchObject([
      { differs: 'object 0 is {"a":10000000000}' },
    ]);
  },
  TIMEOUT_MS,
);

/** Where Go keeps the modules of this machine: Kubernetes' own, once the peer or k3s was built. */
const MODULES =
  process.env['GOMODCACHE'] ?? join(process.env['GOPATH'] ?? join(homedir(), 'go'), 'pkg/mod');
const FILE_BYTES_MAX = 3 * 1024 * 1024;
/** Of some thousands. */
const FILES = 500;

test(
  'the files of Go modules, and the YAML of packages, that are here',
  async () => {
    const paths: string[] = [];
    const packages = join(import.meta.dir, '../../../node_modules');
    await askYamlPeer([]); // Its modules are here then.
    // JSON of packages are settings, with comments as often as not.
    const places = [
      { cwd: MODULES, glob: new Glob('**/*.{yaml,yml,json}') },
      { cwd: packages, glob: new Glob('**/*.{yaml,yml}') },
    ];
    for (const { cwd, glob } of places) {
      for await (const path of glob.scan({ cwd, absolute: true })) {
        if (Bun.file(path).size <= FILE_BYTES_MAX) {
          paths.push(path);
        }
      }
    }
    const questions: YamlQuestion[] = [];
    for (const path of sampled(paths.sort(), FILES)) {
      questions.push(readOf(await Bun.file(path).text()));
    }
    expect((await differences(questions)).slice(0, 3)).toEqual([]);
    expect(questions.length).toBeGreaterThan(100);
  },
  TIMEOUT_MS,
);
