import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { layerProblems, readImporters, readSources } from '../../scripts/check-layers.ts';
import { unusedExports } from '../../scripts/unused-exports.ts';

const ROOT = join(import.meta.dir, '..', '..');

/** What is wrong with one file. */
function problemsOf(path: string, text: string): readonly string[] {
  return layerProblems([{ path, text }]);
}

test('the sources of this program keep the import rule', async () => {
  expect(layerProblems(await readSources(ROOT))).toEqual([]);
});

test('what this program exports is imported by somebody', async () => {
  expect(unusedExports(await readImporters(ROOT))).toEqual([]);
});

describe('readSources()', () => {
  test('reads every source with its path below src', async () => {
    const sources = await readSources(ROOT);
    const backoff = sources.find(({ path }) => path === 'core/backoff.ts');
    expect(backoff?.text).toBe(await Bun.file(join(ROOT, 'src/core/backoff.ts')).text());
    expect(sources.map(({ path }) => path)).toContain('main.ts');
  });
});

describe('layerProblems() and imports of other folders', () => {
  test.each([
    ['store/a.ts', "import { b } from '../core/b.ts';"],
    ['store/a.ts', "import { b } from './b.ts';"],
    ['host/checks/a.ts', "import { b } from '../b.ts';"],
    ['host/checks/a.ts', "import { b } from '../../protocol/b.ts';"],
    ['cli/a.ts', "const b = await import('../daemon/b.ts');"],
    ['main.ts', "import { b } from './cli/b.ts';"],
    ['main.ts', "import { b } from './platform/b.ts';"],
    ['daemon/common-parts.ts', "import { b } from '../platform/b.ts';"],
    ['host/a.ts', "import unit from '../../systemd/b.service' with { type: 'text' };"],
  ])('takes in %s: %s', (path, text) => {
    expect(problemsOf(path, text)).toEqual([]);
  });

  test.each([
    [
      'a folder of a higher rank',
      'core/a.ts',
      "import { b } from '../store/b.ts';",
      'store',
      'core',
    ],
    [
      'a folder of the same rank',
      'store/a.ts',
      "import { b } from '../host/b.ts';",
      'host',
      'store',
    ],
    ['a type', 'core/a.ts', "import type { B } from '../store/b.ts';", 'store', 'core'],
    ['something at run time', 'store/a.ts', "await import('../cli/b.ts');", 'cli', 'store'],
    ['something for its effects', 'store/a.ts', "import '../cli/b.ts';", 'cli', 'store'],
    ['what it hands on', 'store/a.ts', "export { b } from '../cli/b.ts';", 'cli', 'store'],
    [
      'several lines long',
      'store/a.ts',
      "import {\n  b,\n  type C,\n} from '../cli/b.ts';",
      'cli',
      'store',
    ],
  ])('finds the import of %s', (_, path, text, target, folder) => {
    expect(problemsOf(path, text)).toEqual([
      `src/${path}: imports ${target}/, which does not stand below ${folder}/: ` +
        'imports point one way, so that each folder can be read without the ones above it',
    ]);
  });

  test('finds the import of the main program', () => {
    expect(problemsOf('cli/a.ts', "import { main } from '../main.ts';")).toHaveLength(1);
  });

  test.each(['daemon/other.ts', 'cli/a.ts', 'store/a.ts'])(
    'finds the import of platform in %s',
    (path) => {
      expect(problemsOf(path, "import { b } from '../platform/b.ts';")).toEqual([
        `src/${path}: imports platform/: take the port as a parameter instead`,
      ]);
    },
  );

  test.each(["import { b } from '../../test/b.ts';", "import { b } from '../../scripts/b.ts';"])(
    'finds code from outside src: %s',
    (text) => {
      expect(problemsOf('cli/a.ts', text)).toEqual([
        expect.stringMatching(
          /^src\/cli\/a\.ts: imports \.\.\/(test|scripts)\/b\.ts, which is not part of the program$/,
        ),
      ]);
    },
  );

  test('finds files that import each other in a circle, also where it is only a type', () => {
    const files = [
      { path: 'core/a.ts', text: "import { b } from './b.ts';" },
      { path: 'core/b.ts', text: "const c = await import('./c.ts');" },
      { path: 'core/c.ts', text: "import type { A } from './a.ts';" },
      { path: 'core/d.ts', text: "import { a } from './a.ts';" },
    ];
    expect(layerProblems(files)).toEqual([
      'src/core/a.ts → core/b.ts → core/c.ts → core/a.ts: these files import each other in a circle',
    ]);
    expect(layerProblems(files.slice(0, 2))).toEqual([]);
  });

  test('finds rooms of one folder that import each other in a circle', () => {
    const files = [
      { path: 'host/agent/a.ts', text: "import { b } from '../k3s/b.ts';" },
      { path: 'host/k3s/b.ts', text: "import { c } from '../engine/c.ts';" },
      { path: 'host/engine/c.ts', text: "import { e } from '../agent/e.ts';" },
      { path: 'host/checks/d.ts', text: "import { c } from '../engine/c.ts';" },
    ];
    expect(layerProblems(files)).toEqual([
      'src/host/agent → host/k3s → host/engine → host/agent: these rooms import each other in a circle',
    ]);
    expect(layerProblems(files.slice(0, 2))).toEqual([]);
  });

  test.each([
    ['host/agent/agent-account.ts', 'agent'],
    ['routes/managed-route.ts', 'route'],
    ['kubernetes/pods/pod-logs.ts', 'pod'],
  ])('finds that %s repeats its folder', (path, word) => {
    expect(problemsOf(path, '')).toEqual([
      `src/${path}: its name repeats its folder: leave out "${word}"`,
    ]);
  });

  test.each(['store/store.ts', 'yamux/session.ts', 'kubernetes/watch/kind-cache.ts'])(
    'takes the name %s',
    (path) => {
      expect(problemsOf(path, '')).toEqual([]);
    },
  );

  test('asks for a rank of a new folder', () => {
    expect(problemsOf('novel/a.ts', '')).toEqual([
      'src/novel/a.ts: "novel" has no rank in scripts/check-layers.ts',
    ]);
  });
});

describe('layerProblems() and packages', () => {
  test.each([
    ['kubernetes/a.ts', "import { KubeConfig } from '@kubernetes/client-node';"],
    ['platform/a.ts', "import { execa } from 'execa';"],
    ['cli/a.ts', "import { parseArgs } from 'citty';"],
    ['store/a.ts', "import { Database } from 'bun:sqlite';"],
    ['platform/a.ts', "import { dlopen } from 'bun:ffi';"],
    ['config/a.ts', "import { z } from 'zod';"],
    ['host/a.ts', "import { join } from 'node:path';"],
    ['host/a.ts', "import { isIP } from 'node:net';"],
    ['server/a.ts', "import { STATUS_CODES } from 'node:http';"],
    ['platform/a.ts', "import { hostname } from 'node:os';"],
    ['store/a.ts', "import { statfsSync } from 'node:fs';"],
    ['host/a.ts', "import type { Database } from 'bun:sqlite';"],
    ['host/a.ts', "import type {\n  A,\n  B,\n} from '@kubernetes/client-node';"],
  ])('takes in %s: %s', (path, text) => {
    expect(problemsOf(path, text)).toEqual([]);
  });

  test.each([
    ['host/a.ts', '@kubernetes/client-node', 'kubernetes: one folder knows the API'],
    ['host/a.ts', 'consola', 'cli: it paints for a terminal'],
    ['host/a.ts', 'execa', 'platform: programs are run through the Exec port'],
    ['host/a.ts', 'citty', 'cli: it is a parser of command lines'],
    ['host/a.ts', 'bun:sqlite', 'store: the store owns the database'],
    ['host/a.ts', 'bun:ffi', 'platform: the system is reached through ports'],
    ['daemon/a.ts', 'node:os', 'platform: the machine is asked through the ThisMachine port'],
    ['main.ts', 'node:os', 'platform: the machine is asked through the ThisMachine port'],
    [
      'host/a.ts',
      'node:fs/promises',
      'platform, store, cli: files are reached through the Files port; the store and the terminal have their own',
    ],
    ['host/a.ts', 'node:timers/promises', 'platform: time is reached through the Clock port'],
    ['host/a.ts', 'node:child_process', 'platform: programs are run through the Exec port'],
    ['tunnel/a.ts', 'node:net', 'platform: the network is reached through ports'],
    ['tunnel/a.ts', 'node:dgram', 'platform: the network is reached through ports'],
    ['server/a.ts', 'node:http', 'platform: the network is reached through ports'],
    ['core/a.ts', 'zod', 'config, protocol: input is checked at the edge'],
    ['main.ts', 'zod', 'config, protocol: input is checked at the edge'],
  ])('finds in %s the package %s away from home', (path, name, home) => {
    expect(problemsOf(path, `import { b } from '${name}';`)).toEqual([
      `src/${path}: imports ${name}, whose home is ${home}`,
    ]);
  });

  test('finds a value between types', () => {
    const text = "import type { A } from './b.ts';\nimport { type B, z } from 'zod';";
    expect(problemsOf('core/a.ts', text)).toHaveLength(1);
  });
});

describe('layerProblems() and globals', () => {
  test.each([
    ['Date.now()', 'the wall clock', 'Clock.now()'],
    ['new Date()', 'the wall clock', 'Clock.now()'],
    ['performance.now()', 'performance.now', 'Clock.monotonic()'],
    ['setTimeout(f, 5)', 'timers', 'Clock.sleep()'],
    ['setInterval(f, 5)', 'timers', 'Clock.sleep()'],
    ['AbortSignal.timeout(5)', 'AbortSignal.timeout', 'within()'],
    ['Bun.sleep(5)', 'Bun.sleep', 'Clock.sleep()'],
    ['Bun.sleepSync(5)', 'Bun.sleep', 'Clock.sleep()'],
    ['Bun.nanoseconds()', 'Bun.nanoseconds', 'Clock.monotonic()'],
    ...['Bun.connect({})', 'Bun.connect<Target>({})', 'Bun.listen({})', 'Bun.udpSocket({})'].map(
      (made) => [made, 'sockets', 'a port, or a named home in scripts/check-layers.ts'] as const,
    ),
    ['Bun.serve({})', 'the network', 'a port'],
    ['Bun.dns.lookup(name)', 'the network', 'a port'],
    ['new WebSocket(url)', 'WebSocket', 'the Network port'],
    ['Bun.file(path)', 'files', 'the Files port'],
    ['Bun.write(path, text)', 'files', 'the Files port'],
    ['Bun.spawn(argv)', 'processes', 'the Exec port'],
    ['Math.random()', 'Math.random', 'Random'],
    ['fetch(url)', 'fetch', 'the Http port'],
    ['process.exit(1)', 'process', 'what program.ts passes in'],
    ['process.env', 'process', 'what program.ts passes in'],
    ['console.log(1)', 'console', 'the Log port'],
  ])('finds %s and its line', (expression, name, use) => {
    expect(problemsOf('core/a.ts', `const a = 1;\nconst b = ${expression};`)).toEqual([
      `src/core/a.ts:2: uses ${name}: use ${use}, so that tests decide`,
    ]);
  });

  test.each([
    'http1/client/dial.ts',
    'http1/server/connections.ts',
    'tunnel/tcp-target.ts',
    'tunnel/udp-target.ts',
    'platform/network/stream-dialer.ts',
  ])('lets %s make sockets, and nothing else', (path) => {
    expect(problemsOf(path, 'Bun.connect({});')).toEqual([]);
    if (!path.startsWith('platform/')) {
      expect(problemsOf(path, 'setTimeout(f, 5);')).toHaveLength(1);
    }
  });

  test.each([
    'new Date(text)',
    'AbortSignal.any([a, b])',
    'Bun.udp.Socket',
    'Bun.stdout',
    'deps.http.fetch(url)',
    'prefetch(url)',
    'process.pid',
    'process.memoryUsage()',
    'this.process.exit()',
    '// Date.now() is not used',
    ' * setTimeout() is not used',
  ])('takes %s', (line) => {
    expect(problemsOf('core/a.ts', line)).toEqual([]);
  });

  test.each(['main.ts', 'program.ts', 'platform/clock.ts'])('lets %s use them all', (path) => {
    expect(problemsOf(path, 'setTimeout(() => console.log(Date.now()), 5);')).toEqual([]);
  });
});

describe('unusedExports()', () => {
  const importing = (text: string) => ({ path: 'src/core/b.ts', text });
  const inTest = (text: string) => ({ path: 'test/core/a.test.ts', text });
  const FILE = { path: 'src/core/a.ts', text: 'export function a(): void {}\n' };
  const UNUSED =
    "src/core/a.ts: exports a, which nobody imports: make it the file's own, or remove it";

  test.each([
    'export function a(): void {}',
    'export async function a(): Promise<void> {}',
    'export class a {}',
    'export const a = 1;',
    'export type a = string;',
    'export interface a {}',
  ])('finds what nobody imports: %s', (text) => {
    expect(unusedExports([{ ...FILE, text }])).toEqual([UNUSED]);
    // Another file's name is another one.
    expect(unusedExports([{ ...FILE, text }, importing("import { a } from './c.ts';")])).toEqual([
      UNUSED,
    ]);
  });

  test.each([
    "import { a } from './a.ts';",
    "import { type a } from './a.ts';",
    "import type { a } from './a.ts';",
    "import { a as b } from '../core/a.ts';",
    "import {\n  c,\n  a,\n} from './a.ts';",
    "const { a } = await import('./a.ts');",
    "import * as all from './a.ts';\nall.a();",
    "export { a } from './a.ts';",
  ])('takes what is imported: %s', (text) => {
    expect(unusedExports([FILE, importing(text)])).toEqual([]);
  });

  test('finds what only tests import, but for limits and the messages of a wire', () => {
    const used = inTest("import { a, LIMIT_MS } from '../../src/core/a.ts';");
    expect(unusedExports([FILE, used])).toEqual([
      "src/core/a.ts: exports a, which only tests import: make it the file's own, or remove it",
    ]);
    expect(unusedExports([{ ...FILE, text: 'export const LIMIT_MS = 5;' }, used])).toEqual([]);
    const wire = { path: 'src/protocol/a.ts', text: FILE.text };
    expect(unusedExports([wire, inTest("import { a } from '../../src/protocol/a.ts';")])).toEqual(
      [],
    );
  });

  test('takes a type that its own file speaks of', () => {
    const text = 'export interface Deps {}\nexport function a(deps: Deps): void {}';
    const files = [{ ...FILE, text }, importing("import { a } from './a.ts';")];
    expect(unusedExports(files)).toEqual([]);
  });
});
