/**
 * The import rule of docs/ARCHITECTURE.md, checked: a file imports its own folder and folders of a
 * strictly lower rank; packages and globals have homes; what is exported is imported by somebody. Run
 * as a test and by `bun run check`.
 */

import { dirname, join, normalize, relative } from 'node:path';
import { Glob } from 'bun';
import { importCircles } from './import-circles.ts';
import { unusedExports } from './unused-exports.ts';

/** The one table. Folders of the same rank never import each other. */
const RANKS: Readonly<Record<string, number>> = {
  core: 0,
  // Libraries of our own, and the settings.
  config: 1,
  http1: 1,
  yamux: 1,
  // Built on them.
  protocol: 2,
  websocket: 2,
  // One outer thing each.
  platform: 3,
  store: 3,
  host: 3,
  kubernetes: 3,
  'control-plane': 3,
  policy: 3,
  page: 3,
  // What the agent does.
  proxy: 4,
  commands: 4,
  health: 4,
  // By which way.
  server: 5,
  'remote-proxy': 5,
  routes: 5,
  reporting: 5,
  telemetry: 5,
  tunnel: 6,
  // Whole use cases.
  daemon: 7,
  machine: 7,
  cli: 8,
};

/** These know the process that the program runs in. */
const PROCESS_FILES = ['main.ts', 'program.ts'];

/** Only these import `platform`: everything else takes ports. */
const PLATFORM_IMPORTERS = [...PROCESS_FILES, 'daemon/common-parts.ts'];

interface Home {
  readonly folders: readonly string[];
  readonly why: string;
}

const OTEL_HOME: Home = { folders: ['telemetry'], why: 'other parts tell spans, and no format' };

const PACKAGE_HOMES: Readonly<Record<string, Home>> = {
  '@kubernetes/client-node': { folders: ['kubernetes'], why: 'one folder knows the API' },
  '@opentelemetry/api': OTEL_HOME,
  '@opentelemetry/core': OTEL_HOME,
  '@opentelemetry/otlp-transformer': OTEL_HOME,
  '@opentelemetry/resources': OTEL_HOME,
  '@opentelemetry/sdk-trace': OTEL_HOME,
  execa: { folders: ['platform'], why: 'programs are run through the Exec port' },
  consola: { folders: ['cli'], why: 'it paints for a terminal' },
  'js-yaml': { folders: ['kubernetes'], why: 'one file knows how Kubernetes reads YAML' },
  'prom-client': { folders: ['telemetry'], why: 'other parts tell numbers, and no format' },
  citty: { folders: ['cli'], why: 'it is a parser of command lines' },
  'node:os': { folders: ['platform'], why: 'the machine is asked through the ThisMachine port' },
  'node:fs': {
    folders: ['platform', 'store', 'cli'],
    why: 'files are reached through the Files port; the store and the terminal have their own',
  },
  'node:child_process': { folders: ['platform'], why: 'programs are run through the Exec port' },
  'node:timers': { folders: ['platform'], why: 'time is reached through the Clock port' },
  'node:net': { folders: ['platform'], why: 'the network is reached through ports' },
  'node:tls': { folders: ['platform'], why: 'the network is reached through ports' },
  'node:dgram': { folders: ['platform'], why: 'the network is reached through ports' },
  'node:dns': { folders: ['platform'], why: 'the network is reached through ports' },
  'node:http': { folders: ['platform'], why: 'the network is reached through ports' },
  'node:https': { folders: ['platform'], why: 'the network is reached through ports' },
  'node:http2': { folders: ['platform'], why: 'the network is reached through ports' },
  'bun:jsc': { folders: ['platform'], why: 'the runtime is asked through ports' },
  'node:inspector': { folders: ['platform'], why: 'the runtime is asked through ports' },
  'bun:sqlite': { folders: ['store'], why: 'the store owns the database' },
  'bun:ffi': { folders: ['platform'], why: 'the system is reached through ports' },
  zod: { folders: ['config', 'protocol'], why: 'input is checked at the edge' },
};

/** Of the modules above what only looks at texts. */
const PURE_IMPORTS = /^import \{ (?:isIP|STATUS_CODES) \} from 'node:(?:net|http)';$/gm;

interface GlobalRule {
  readonly pattern: RegExp;
  readonly name: string;
  readonly use: string;
  /** Files beside `platform/` that may use it. */
  readonly homes?: readonly string[];
}

/**
 * These own their sockets: a byte of the proxy and of the tunnel goes from the runtime's callback to
 * its target without a stream of ours between, which is what makes them fast. Their tests bring real
 * sockets.
 */
const SOCKET_HOMES = [
  'http1/client/dial.ts',
  'http1/server/connections.ts',
  'tunnel/tcp-target.ts',
  'tunnel/udp-target.ts',
];

const GLOBAL_HOMES: readonly GlobalRule[] = [
  { pattern: /\bDate\.now\(|\bnew Date\(\)/, name: 'the wall clock', use: 'Clock.now()' },
  { pattern: /\bperformance\.now\(/, name: 'performance.now', use: 'Clock.monotonic()' },
  { pattern: /\bset(Timeout|Interval)\(/, name: 'timers', use: 'Clock.sleep()' },
  { pattern: /\bAbortSignal\.timeout\b/, name: 'AbortSignal.timeout', use: 'within()' },
  { pattern: /\bBun\.sleep(Sync)?\b/, name: 'Bun.sleep', use: 'Clock.sleep()' },
  { pattern: /\bBun\.nanoseconds\b/, name: 'Bun.nanoseconds', use: 'Clock.monotonic()' },
  {
    pattern: /\bBun\.(connect|listen|udpSocket)\b/,
    name: 'sockets',
    use: 'a port, or a named home in scripts/check-layers.ts',
    homes: SOCKET_HOMES,
  },
  { pattern: /\bBun\.(serve|dns)\b/, name: 'the network', use: 'a port' },
  { pattern: /\bnew WebSocket\(/, name: 'WebSocket', use: 'the Network port' },
  { pattern: /\bBun\.(file|write)\b/, name: 'files', use: 'the Files port' },
  { pattern: /\bBun\.(spawn|spawnSync|\$)/, name: 'processes', use: 'the Exec port' },
  { pattern: /\bsetImmediate\(/, name: 'setImmediate', use: 'RunSoon' },
  { pattern: /\bMath\.random\(/, name: 'Math.random', use: 'Random' },
  { pattern: /(?<![.\w])fetch\(/, name: 'fetch', use: 'the Http port' },
  {
    pattern: /(?<![.\w])process\.(?!pid|memoryUsage)/,
    name: 'process',
    use: 'what program.ts passes in',
  },
  { pattern: /(?<![.\w])console\./, name: 'console', use: 'the Log port' },
];
/** The page runs in a browser. */
const GLOBAL_FOLDERS = ['platform', 'page'];

export interface SourceFile {
  /** Path below src. */
  readonly path: string;
  readonly text: string;
}

/** Everything that is against the rule, one sentence each. */
export function layerProblems(files: readonly SourceFile[]): readonly string[] {
  return [
    ...files.flatMap((file) => [
      ...importProblems(file),
      ...nameProblems(file),
      ...(isGlobalHome(file.path) ? [] : globalProblems(file)),
    ]),
    ...circleProblems(files),
  ];
}

/** What a folder says, its files need not say again: `host/agent/account.ts`, not `agent-account.ts`. */
function nameProblems({ path }: SourceFile): readonly string[] {
  const words = (name: string) => name.split('-').map((word) => word.replace(/s$/, ''));
  const folders = dirname(path).split('/').flatMap(words);
  const [name = ''] = (path.split('/').at(-1) ?? '').split('.');
  const repeated = words(name).find((word) => name.includes('-') && folders.includes(word));
  return repeated === undefined
    ? []
    : [`src/${path}: its name repeats its folder: leave out "${repeated}"`];
}

/** Files, and rooms within one folder, may import each other, but not in a circle: types neither. */
function circleProblems(files: readonly SourceFile[]): readonly string[] {
  const byFile = new Map<string, Set<string>>();
  const byRoom = new Map<string, Set<string>>();
  const note = (imports: Map<string, Set<string>>, from: string, to: string) =>
    imports.set(from, (imports.get(from) ?? new Set()).add(to));
  for (const { path, text } of files) {
    const room = dirname(path);
    for (const name of importedNames(text).filter((each) => each.startsWith('.'))) {
      const target = normalize(join(room, name));
      const targetRoom = dirname(target);
      note(byFile, path, target);
      if (targetRoom !== room && folderOf(`${targetRoom}/`) === folderOf(path)) {
        note(byRoom, room, targetRoom);
      }
    }
  }
  return [
    ...importCircles(byFile).map(
      (way) => `${shown(way)}: these files import each other in a circle`,
    ),
    ...importCircles(byRoom).map(
      (way) => `${shown(way)}: these rooms import each other in a circle`,
    ),
  ];
}

function shown(way: readonly string[]): string {
  return `src/${way.join(' → ')}`;
}

/** What a source imports, types too, as it is written: `./b.ts`, `zod`. */
export function importedNames(text: string): readonly string[] {
  const found = text.matchAll(/(?:from|import|import\()\s*'([^']+)'/g);
  return [...found].map(([, name = '']) => name);
}

function isGlobalHome(path: string): boolean {
  return PROCESS_FILES.includes(path) || GLOBAL_FOLDERS.includes(folderOf(path));
}

function folderOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '') : '';
}

function importProblems(file: SourceFile): readonly string[] {
  const problems: string[] = [];
  const folder = folderOf(file.path);
  const rank = folder === '' ? Number.POSITIVE_INFINITY : RANKS[folder];
  if (rank === undefined) {
    return [`src/${file.path}: "${folder}" has no rank in scripts/check-layers.ts`];
  }
  // Types of a package cost nothing at run time and may go anywhere.
  const text = file.text
    .replaceAll(/^import type [^;]*? from '[^.'][^']*';/gm, '')
    .replaceAll(PURE_IMPORTS, '');
  for (const name of importedNames(text)) {
    if (!name.startsWith('.')) {
      const home = PACKAGE_HOMES[packageOf(name)];
      if (home !== undefined && !home.folders.includes(folder)) {
        problems.push(
          `src/${file.path}: imports ${name}, whose home is ${home.folders.join(', ')}: ${home.why}`,
        );
      }
      continue;
    }
    const target = normalize(join(dirname(file.path), name));
    const targetFolder = folderOf(target);
    if (targetFolder === folder) {
      continue;
    }
    if (target.startsWith('..')) {
      // Embedded files such as the unit stand outside src; code does not.
      if (target.endsWith('.ts')) {
        problems.push(`src/${file.path}: imports ${target}, which is not part of the program`);
      }
    } else if (targetFolder === 'platform' && !PLATFORM_IMPORTERS.includes(file.path)) {
      problems.push(`src/${file.path}: imports platform/: take the port as a parameter instead`);
    } else if ((RANKS[targetFolder] ?? Number.POSITIVE_INFINITY) >= rank) {
      problems.push(
        `src/${file.path}: imports ${targetFolder}/, which does not stand below ${folder}/: ` +
          'imports point one way, so that each folder can be read without the ones above it',
      );
    }
  }
  return problems;
}

function globalProblems(file: SourceFile): readonly string[] {
  const problems: string[] = [];
  file.text.split('\n').forEach((line, index) => {
    if (/^\s*(\*|\/\/|\/\*)/.test(line)) {
      return;
    }
    for (const { pattern, name, use, homes = [] } of GLOBAL_HOMES) {
      if (pattern.test(line) && !homes.includes(file.path)) {
        problems.push(
          `src/${file.path}:${index + 1}: uses ${name}: use ${use}, so that tests decide`,
        );
      }
    }
  });
  return problems;
}

/** `zod/mini` belongs to `zod`, `node:fs/promises` to `node:fs`, `@kubernetes/client-node/x` to `@kubernetes/client-node`. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

export async function readSources(root: string): Promise<readonly SourceFile[]> {
  const files = await readFiles(root, 'src/**/*.{ts,tsx}');
  return files.map(({ path, text }) => ({ path: relative('src', path), text }));
}

/** The sources, and all that may import from them. */
export async function readImporters(root: string): Promise<readonly SourceFile[]> {
  return await readFiles(root, '{src,test,scripts}/**/*.{ts,tsx}');
}

async function readFiles(root: string, pattern: string): Promise<readonly SourceFile[]> {
  const files: SourceFile[] = [];
  for await (const path of new Glob(pattern).scan({ cwd: root })) {
    files.push({ path, text: await Bun.file(join(root, path)).text() });
  }
  return files;
}

if (import.meta.main) {
  const root = join(import.meta.dir, '..');
  const problems = [
    ...layerProblems(await readSources(root)),
    ...unusedExports(await readImporters(root)),
  ];
  for (const problem of problems) {
    console.error(problem);
  }
  process.exit(problems.length === 0 ? 0 : 1);
}
