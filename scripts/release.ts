/**
 * Makes releases: `bun scripts/release.ts WORD FLAGS`; docs/RELEASING.md says who does what, and where.
 *
 *   keys     --out DIR                 makes two root keys and the first release key
 *   certify  --keys DIR                makes a new release key, which replaces the one before; needs a root key
 *   prepare  --out DIR                 builds this version into DIR/VERSION; needs no secret
 *   sign     --keys DIR --out DIR      signs every version in DIR; needs the release key alone
 *   verify   --keys DIR --dir DIR      reads every byte of DIR as a machine would; needs DIR/keys.json alone
 *
 * prepare: --version V --channel C --min-version V --target T --quick (packed for speed) --no-packages
 *          (without those for apt and dnf, which need Go) --release-keys FILE
 * keys, certify, prepare, sign: --days N, until it expires. All: --test, with keys that were made with --test.
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  certify,
  makeKeys,
  readKeysFile,
  readPublicKeys,
  refuseWrongKeys,
  TEST_PURPOSE,
} from './release/key-directory.ts';
import { prepareRelease } from './release/prepare.ts';
import { ReleaseProblem } from './release/problem.ts';
import { MAIN_CHANNEL, signReleases } from './release/sign.ts';
import { verifyReleases } from './release/verify.ts';

const ROOT = join(import.meta.dir, '..');
const KEYS_FILE = join(import.meta.dir, 'release/keys.json');
const ALL_TARGETS = ['linux-x64', 'linux-arm64'];
const KEY_DAYS = 365;
const RELEASE_DAYS = 180;
const DAYS_MAX = 3_650;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string' },
    keys: { type: 'string' },
    dir: { type: 'string' },
    test: { type: 'boolean', default: false },
    days: { type: 'string' },
    version: { type: 'string' },
    channel: { type: 'string', default: MAIN_CHANNEL },
    'min-version': { type: 'string', default: '0.0.0' },
    target: { type: 'string', multiple: true, default: ALL_TARGETS },
    quick: { type: 'boolean', default: false },
    'no-packages': { type: 'boolean', default: false },
    'release-keys': { type: 'string', default: KEYS_FILE },
  },
});

const isTest = values.test;
const now = new Date();

function needed(name: 'out' | 'keys' | 'dir'): string {
  const value = values[name];
  if (value === undefined) {
    throw new ReleaseProblem(`Give --${name} DIR`);
  }
  return resolve(value);
}

function days(usual: number): number {
  const given = values.days === undefined ? usual : Number(values.days);
  if (!Number.isInteger(given) || given < 1 || given > DAYS_MAX) {
    throw new ReleaseProblem(`--days is a number from 1 to ${DAYS_MAX}`);
  }
  return given;
}

const WORDS: Readonly<Record<string, () => Promise<string>>> = {
  keys: async () => {
    const purpose = isTest ? TEST_PURPOSE : 'release';
    await makeKeys(needed('out'), { purpose, now, days: days(KEY_DAYS) });
    return `Two root keys and release key 1 are in ${needed('out')}: keep them as docs/RELEASING.md says`;
  },
  certify: async () => {
    refuseWrongKeys(await readPublicKeys(needed('keys')), isTest);
    const number = await certify(needed('keys'), { now, days: days(KEY_DAYS) });
    return `Release key ${number} replaces the one before. Sign all releases again: release.ts sign`;
  },
  prepare: async () => {
    const keysFile = resolve(values['release-keys']);
    const { version } = await Bun.file(join(ROOT, 'package.json')).json();
    const directory = await prepareRelease({
      ...{ out: needed('out'), keysFile, keys: await readKeysFile(keysFile), isTest },
      ...{ version: values.version ?? version, channel: values.channel },
      ...{ minVersion: values['min-version'], targets: values.target },
      ...{ isSmall: !values.quick, hasPackages: !values['no-packages'], days: days(RELEASE_DAYS) },
    });
    return `${directory} is ready to be signed`;
  },
  sign: async () => {
    const wanted = { keysDirectory: needed('keys'), out: needed('out'), isTest, now };
    const versions = await signReleases({ ...wanted, days: days(RELEASE_DAYS) });
    return `Signed in ${wanted.out}: ${versions.join(', ')}`;
  },
  verify: async () => {
    const wanted = { keysDirectory: needed('keys'), directory: needed('dir'), isTest, now };
    return `All is well in ${wanted.directory}: ${(await verifyReleases(wanted)).join(', ')}`;
  },
};

const [word = '', ...more] = positionals;
try {
  const work = Object.hasOwn(WORDS, word) && more.length === 0 ? WORDS[word] : undefined;
  if (work === undefined) {
    throw new ReleaseProblem(
      `Use one of: ${Object.keys(WORDS).join(', ')}. See the top of scripts/release.ts`,
    );
  }
  console.log(await work());
} catch (thrown) {
  if (!(thrown instanceof ReleaseProblem)) {
    throw thrown;
  }
  console.error(`release.ts: ${thrown.message}`);
  process.exit(1);
}
