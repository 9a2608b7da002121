/**
 * A machine for tests of one process: real files below a temporary root, and the programs that the
 * subcommands run, as far as they are seen from outside. The real ones run in test/e2e.
 */
import { lstat, mkdir, readlink, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { CliContext } from '../../src/cli/definition/context.ts';
import { runCli } from '../../src/cli/main.ts';
import { settingValues } from '../../src/config/describe.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { AgentError } from '../../src/core/errors.ts';
import { type Places, placesOf } from '../../src/core/places.ts';
import type {
  Clock,
  Exec,
  ExecOptions,
  ExecResult,
  FileLock,
  Files,
  HandedConnection,
  Http,
} from '../../src/core/ports.ts';
import type { Probe } from '../../src/core/probe.ts';
import { NO_RELEASE_KEYS, type ReleaseKeys } from '../../src/core/release-keys.ts';
import { unfinishedFile } from '../../src/core/unfinished-file.ts';
import { BUILD } from '../../src/core/version.ts';
import { WRITE_PROBE_FILE } from '../../src/host/facts/write-latency.ts';
import { systemAskSocket } from '../../src/platform/ask-socket.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemObjectStore } from '../../src/platform/object-store.ts';
import { systemRandom } from '../../src/platform/random.ts';
import type { DetailedHealth } from '../../src/protocol/local-api.ts';
import { systemDatabases } from '../../src/store/databases.ts';
import { capturedTerminal } from './captured-terminal.ts';
import { serviceAccountToken } from './fake-kubernetes.ts';
import { DEBIAN_12, machineTree, putTree, ROOMY_DISK } from './machine-tree.ts';
import { memoryLog } from './memory-log.ts';
import { checkPromisedJson } from './promised-json.ts';
import { QUIET_PROBE } from './quiet-probe.ts';
import { memoryDirectory } from './temp-dir.ts';
import { TOOLS } from './tools.ts';

export const CLUSTER_CA = '-----BEGIN CERTIFICATE-----\nY2x1c3Rlcg==\n-----END CERTIFICATE-----\n';
export const CONTROL_PLANE_TOKEN = 'the-token-of-the-control-plane';
export const PUBLIC_CA = '-----BEGIN CERTIFICATE-----\npublic\n-----END CERTIFICATE-----\n';
export const MIRROR = 'https://k3s.test';
export const CONTROL_PLANE = 'https://control-plane.test';
/** Of every release of k3s there. */
export const IMAGES = [
  'docker.io/rancher/mirrored-pause:3.6',
  'docker.io/rancher/mirrored-coredns-coredns:1.12.0',
];
const BOOTSTRAP_TOKEN = 'abcdef.0123456789abcdef';
const INSTALL_SCRIPT = '#!/bin/sh\necho the installer of k3s\n';

type WebAnswer = (url: string, init: RequestInit | undefined) => Response | Promise<Response>;
type Answer = Partial<ExecResult>;
/** @returns undefined where it is to answer as usual */
type Program = (
  argv: readonly string[],
  options: ExecOptions,
) => Promise<Answer | undefined> | Answer | undefined;

export interface Call {
  readonly argv: readonly string[];
  readonly stdin: string | undefined;
  readonly env: Readonly<Record<string, string>> | undefined;
}

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SimulatedMachine extends AsyncDisposable {
  /** Runs one subcommand as root, with the answers of a person where it asks. */
  run(words: readonly string[], options?: RunOptions): Promise<Ran>;
  readonly files: Files;
  /** Writes a file, with its directories. @param mode 0644 unless told otherwise */
  put(path: string, data: string | Uint8Array, mode?: number): Promise<void>;
  /** A file of JSON; null where there is none. */
  json(path: string): Promise<Record<string, unknown>>;
  readonly calls: readonly Call[];
  /** `active`, `failed`, … by unit; what is absent is inactive. */
  readonly units: Map<string, string>;
  readonly enabled: Set<string>;
  /** Answers of addresses by their start; the longest that fits is taken. */
  readonly web: Map<string, WebAnswer>;
  /** What the daemon says of itself, from the files that it would read. */
  health(): Promise<DetailedHealth>;
  /** Takes the place of a program for one test. */
  readonly programs: Map<string, Program>;
  /** Every file below the root, with its content. */
  listing(): Promise<Record<string, string>>;
  /** Everything below the root, with kind, mode, owner and content. */
  tree(): Promise<Record<string, string>>;
  /**
   * The next subcommand is killed before its n-th change of the machine (or question to a program), and
   * changes nothing any more. Nothing when it needs fewer.
   */
  killAt(change: number): void;
  /** Nothing can be written any more while this path is there. */
  fillDisk(until: string): void;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly stdin?: string;
  readonly secret?: string;
  readonly confirm?: boolean;
  readonly lockHeldBy?: string;
  readonly hostname?: string;
  readonly addresses?: readonly string[];
  /** Its time, where waits shall be short; the real one when absent. */
  readonly clock?: Clock;
  /** By what the program knows releases; nothing, as a build from source, when absent. */
  readonly releaseKeys?: ReleaseKeys;
  /** What install.sh needed before it; nothing when absent. */
  readonly msBeforeProgram?: number;
  /** The running program; one outside of the versions when absent. */
  readonly execPath?: string;
  /** For `helper serve`: the connection that it is started for. */
  readonly connection?: HandedConnection;
  /** Aborts when a person interrupts it. */
  readonly signal?: AbortSignal;
  /** What the network is like; when absent, every way leads to whom it should. */
  readonly probe?: Probe;
}

function nobody(): never {
  throw new Error('nobody has connected');
}

/** @param places where the product has its things, if not in the usual places */
export async function simulatedMachine(places: Places = placesOf()): Promise<SimulatedMachine> {
  const directory = await memoryDirectory();
  const root = directory.path;
  const realFiles = systemFiles(root);
  let fullWhile: string | undefined;
  // A test may run on a small disk; the checks of the machine have tests of their own.
  const files: Files = {
    ...realFiles,
    writeAtomic: async (path, data, options) => {
      if (fullWhile !== undefined && (await realFiles.stat(fullWhile)) !== undefined) {
        throw new AgentError('DISK_FULL', `Cannot write ${path}: no space left on the disk`, {
          hint: 'Free some space',
        });
      }
      // Its disk is fast, however busy the processors are that this test runs on.
      if (basename(path) !== WRITE_PROBE_FILE) {
        await realFiles.writeAtomic(path, data, options);
      }
    },
    diskSpace: async () => ROOMY_DISK,
  };
  const kill = killSwitch();
  const locks = new Map<string, string>();
  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  await put('/etc/passwd', 'root:x:0:0::/root:/bin/sh\n');
  await put('/etc/group', 'root:x:0:\n');
  await putTree(root, machineTree(DEBIAN_12));
  await put('/run/systemd/container', 'systemd-nspawn'); // Its clock is its host's.
  for (const tool of TOOLS) {
    await put(`/usr/bin/${tool}`, '');
  }
  await put('/root/agent', 'the executable');
  await put('/root/token', `${CONTROL_PLANE_TOKEN}\n`);
  await mkdir(join(root, 'etc/systemd/system'), { recursive: true });
  await mkdir(join(root, 'var/lib'), { recursive: true });

  const units = new Map<string, string>();
  const enabled = new Set<string>();
  const calls: Call[] = [];
  const programs = new Map<string, Program>();
  const health = () => {
    if (units.get('pipeops-agent.service') !== 'active') {
      throw Object.assign(new Error('nobody listens'), { code: 'ENOENT' });
    }
    return healthOf(files);
  };
  const web = new Map<string, WebAnswer>([
    [`${MIRROR}/install.sh`, () => new Response(INSTALL_SCRIPT)],
    [
      `${MIRROR}/channels/stable`,
      () => new Response(null, { status: 302, headers: { location: '/tag/v1.36.3%2Bk3s1' } }),
    ],
    [`${MIRROR}/download/`, (url) => releaseFile(url)],
    [`${CONTROL_PLANE}/api/v1/health`, () => Response.json({ status: 'ok' })],
    [
      `${CONTROL_PLANE}/api/v1/agents/`,
      (_, init) => {
        const given = new Headers(init?.headers).get('authorization');
        const known = given === `Bearer ${CONTROL_PLANE_TOKEN}`;
        return Response.json({}, { status: known ? 404 : 401 });
      },
    ],
    ['http://agent/api/health/detailed', async () => Response.json(await health())],
    [
      'http://agent/api/session',
      async () => Response.json({ phase: (await health()).session.phase }),
    ],
    [
      'http://agent/api/settings',
      async () => {
        await health();
        return Response.json({ settings: settingValues(await settingsOf(files)) });
      },
    ],
    ['http://agent/api/policy', () => Response.json({ problem: null })],
    ['http://127.0.0.1:10248/healthz', () => new Response('ok')],
    ['https://10.0.0.1:6443/cacerts', () => new Response(CLUSTER_CA)],
    ['https://10.0.0.1:6443/v1-k3s/', () => new Response(CLUSTER_CA)],
  ]);

  const machine = { root, put, files, units, enabled, mayBeKilled: kill.check };
  const exec: Exec = {
    run: async (argv, options) => {
      kill.check();
      calls.push({ argv: [...argv], stdin: options.stdin, env: options.env });
      const special = await programs.get(argv[0])?.(argv, options);
      const program = special === undefined ? PROGRAMS[argv[0]] : () => special;
      if (program === undefined) {
        throw new AgentError('TOOL_MISSING', `Cannot run "${argv[0]}": it is not on this machine`, {
          hint: 'Look',
        });
      }
      const answer = await program(machine, argv, options);
      return { exitCode: 0, stdout: '', stderr: '', ...answer };
    },
  };
  const http: Http = async (url, init) => {
    const known = [...web.keys()].filter((start) => url.startsWith(start));
    const longest = known.sort((a, b) => b.length - a.length)[0];
    const answer = longest === undefined ? undefined : web.get(longest);
    if (answer === undefined) {
      throw Object.assign(new Error(`nothing answers ${url}`), { code: 'ConnectionRefused' });
    }
    return answer(url, init);
  };

  return {
    files,
    put: async (path, data, mode = 0o644) => {
      await files.makeDirectory(dirname(path), { mode: 0o755 });
      await files.writeAtomic(path, data, { mode });
    },
    json: async (path) => JSON.parse((await files.readText(path)) ?? 'null'),
    health,
    calls,
    units,
    enabled,
    web,
    programs,
    killAt: kill.arm,
    fillDisk: (until) => {
      fullWhile = until;
    },
    run: async (words, options = {}) => {
      const { out, io, progress } = capturedTerminal({ clock: systemClock }, options);
      const context: CliContext = {
        clock: options.clock ?? systemClock,
        random: systemRandom,
        exec,
        files: kill.files(files),
        places,
        http,
        network: async () => ({
          http,
          dial: () => {
            throw new Error('the simulated machine has no WebSockets');
          },
          close: () => undefined,
        }),
        probe: async () => options.probe ?? QUIET_PROBE,
        authorities: async () => [PUBLIC_CA],
        askSocket: systemAskSocket,
        objectStore: async (settings) => systemObjectStore(root, settings),
        databases: systemDatabases(root),
        handedConnection: async () => options.connection ?? nobody(),
        lock: (path, holder) => takeLock(locks, path, holder, options.lockHeldBy),
        log: memoryLog(),
        env: options.env ?? {},
        uid: options.uid ?? 0,
        hostname: options.hostname ?? 'Node-1',
        addresses: () => options.addresses ?? ['10.0.0.1', '10.0.0.7', 'fd00::7'],
        architecture: 'x64',
        releaseKeys: options.releaseKeys ?? NO_RELEASE_KEYS,
        execPath: options.execPath ?? '/root/agent',
        msBeforeProgram: async () => options.msBeforeProgram ?? 0,
        io,
        endProcess: (exitCode) => {
          throw new Error(`the process must end: ${exitCode}`);
        },
        signal: options.signal ?? new AbortController().signal,
        progress,
      };
      const exitCode = await runCli(context, words);
      checkPromisedJson(words, out.stdout);
      kill.disarm();
      if ((await files.stat('/usr/local/bin/k3s')) === undefined) {
        await rm(join(root, 'cluster'), { recursive: true, force: true }); // It was k3s' data.
      }
      return { exitCode, ...out };
    },
    tree: async () => {
      const found: Record<string, string> = {};
      const everything = { cwd: root, dot: true, onlyFiles: false };
      for await (const path of new Bun.Glob('**/*').scan(everything)) {
        found[`/${path}`] = await describe(join(root, path));
      }
      return found;
    },
    listing: async () => {
      const found: Record<string, string> = {};
      for await (const path of new Bun.Glob('**/*').scan({ cwd: root, dot: true })) {
        found[`/${path}`] = await Bun.file(join(root, path)).text();
      }
      return found;
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

/** @param always who has every lock; undefined: those who have taken one */
function takeLock(
  locks: Map<string, string>,
  path: string,
  holder: string,
  always: string | undefined,
): ReturnType<FileLock> {
  const heldBy = always ?? locks.get(path);
  if (heldBy !== undefined) {
    return { heldBy };
  }
  locks.set(path, holder);
  return { release: () => void locks.delete(path) };
}

/** A program that says its version, an archive of images with their list, and the hashes of all. */
function releaseFile(url: string): Response {
  const [version = '', name = ''] = url.split('/').slice(-2).map(decodeURIComponent);
  const files: Readonly<Record<string, string>> = {
    k3s: version,
    'k3s-airgap-images-amd64.tar': imageArchive(IMAGES),
    'k3s-images.txt': IMAGES.map((image) => `${image}\n`).join(''),
  };
  const sums = Object.entries(files).map(([file, text]) => {
    const sum = new Bun.CryptoHasher('sha256').update(text).digest('hex');
    return `${sum}  ${file}\n`;
  });
  const text = name === 'sha256sum-amd64.txt' ? sums.join('') : files[name];
  return text === undefined ? new Response('', { status: 404 }) : new Response(text);
}

/** As `docker save` writes it, of which only the list of images is read here. */
export function imageArchive(images: readonly string[]): string {
  const list = JSON.stringify([{ RepoTags: images }]);
  const size = list.length.toString(8).padStart(11, '0');
  const head = `${'manifest.json'.padEnd(124, '\0')}${size}`.padEnd(512, '\0');
  return `${head}${list.padEnd(512, '\0')}${'\0'.repeat(1024)}`;
}

async function describe(path: string): Promise<string> {
  const stat = await lstat(path);
  const { mode, uid, gid } = stat;
  if (stat.isSymbolicLink()) {
    return `link to ${await readlink(path)}`;
  }
  const access = `${(mode & 0o7777).toString(8)} ${uid}:${gid}`;
  return stat.isDirectory() ? `directory ${access}` : `${access} ${await Bun.file(path).text()}`;
}

/**
 * Ends a subcommand as SIGKILL would: from one change on it changes nothing, whatever it catches. Killed in
 * the writing of a file, it leaves what would have taken its place.
 */
function killSwitch() {
  let left = Number.POSITIVE_INFINITY;
  const isLast = () => left === 1;
  const check = () => {
    left -= 1;
    if (left <= 0) {
      throw new Error('killed');
    }
  };
  const checked =
    <A extends unknown[], T>(work: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      check();
      return work(...args);
    };
  return {
    check,
    arm: (change: number) => {
      left = change;
    },
    disarm: () => {
      left = Number.POSITIVE_INFINITY;
    },
    files: (files: Files): Files => ({
      ...files,
      writeAtomic: async (path, data, options) => {
        if (isLast()) {
          await files.writeAtomic(unfinishedFile(path), data, { mode: 0o600 });
        }
        await checked(files.writeAtomic)(path, data, options);
      },
      makeDirectory: checked(files.makeDirectory),
      claimDirectory: checked(files.claimDirectory),
      growFile: checked(files.growFile),
      rename: checked(files.rename),
      link: async (target, path) => {
        if (isLast()) {
          await files.link(target, unfinishedFile(path));
        }
        await checked(files.link)(target, path);
      },
      changeMode: checked(files.changeMode),
      remove: checked(files.remove),
      removeTree: checked(files.removeTree),
      removeEmptyDirectory: checked(files.removeEmptyDirectory),
    }),
  };
}

/** What the daemon reads at its start. */
async function settingsOf(files: Files): Promise<Config> {
  const text = (await files.readText('/etc/pipeops-agent/config.yaml')) ?? '';
  const file = { fileText: text, filePath: 'config.yaml' };
  return loadConfig({ flags: {}, env: {}, ...file, hostname: 'Node-1' }).config;
}

/** A daemon that follows its token, as the real one does, and was started with its configuration. */
async function healthOf(files: Files): Promise<DetailedHealth> {
  const config = await settingsOf(files);
  const isNode = config.agent.role === 'node';
  const hasToken = !isNode && (await files.stat(TOKEN_FILE)) !== undefined;
  const at = '2026-01-01T00:00:00.000Z';
  return {
    agent: {
      id: 'agent-1',
      version: BUILD.version,
      role: config.agent.role,
      pid: 7,
      cluster_name: config.cluster.name,
      uptime_seconds: 1,
      memory_rss_bytes: 1,
    },
    ready: true,
    reasons: [],
    session: {
      phase: hasToken ? 'connected' : 'standalone',
      since: at,
      holder: null,
      control_plane: config.control_plane.url,
      transport: null,
      transport_reason: null,
      down_since: null,
      next_try: null,
      last_contact: null,
      last_error: null,
    },
    commands: { accepted: 0, running: 0, undelivered: 0, succeeded: 0, failed: 0 },
    timestamp: at,
  };
}

interface MachineState {
  readonly root: string;
  readonly put: (path: string, text: string) => Promise<void>;
  readonly files: Files;
  readonly units: Map<string, string>;
  readonly enabled: Set<string>;
  /** Between two changes of one program. */
  readonly mayBeKilled: () => void;
}

type MachineProgram = (
  machine: MachineState,
  argv: readonly string[],
  options: ExecOptions,
) => Promise<Answer> | Answer;

const ok: Answer = {};
const TOKEN_FILE = '/var/lib/pipeops-agent/credentials/control-plane-token';

/** Those that a command of systemctl is for. */
export function unitsIn([, , ...words]: readonly string[]): readonly string[] {
  return words.filter((word) => !word.startsWith('-'));
}

const PROGRAMS: Readonly<Record<string, MachineProgram>> = {
  systemctl: async ({ units, enabled, put, files }, argv) => {
    const unit = argv.at(-1) ?? '';
    const state = units.get(unit) ?? 'inactive';
    switch (argv[1]) {
      case 'is-active':
        return { exitCode: state === 'active' ? 0 : 3 };
      case 'is-enabled':
        return { exitCode: enabled.has(unit) ? 0 : 1 };
      case 'show':
        if (argv.includes('--property=ExecStart')) {
          return { stdout: (await files.readText(`/etc/systemd/system/${unit}`)) ?? '' };
        }
        return { stdout: argv.includes('--value') ? state : `ActiveState=${state}\nJob=` };
      case 'enable':
      case 'reenable':
        for (const each of unitsIn(argv)) {
          enabled.add(each);
        }
        return ok;
      case 'disable':
        enabled.delete(unit);
        if (argv.includes('--now') || state !== 'active') {
          units.delete(unit);
        }
        return ok;
      case 'stop':
        if (units.has(unit)) {
          units.set(unit, 'inactive');
        }
        return ok;
      case 'start':
      case 'restart':
        for (const each of unitsIn(argv)) {
          units.set(each, 'active');
        }
        if (unit === 'k3s.service') {
          await put(KUBELET_KUBECONFIG, 'of the kubelet');
          await bringCa(files, put);
        }
        return unit === 'k3s-agent.service' ? await startWorker(put) : ok;
      default:
        return ok;
    }
  },
  journalctl: () => ({ stdout: 'level=info msg="k3s starts"' }),
  groupadd: async ({ root }, argv) => {
    const given = argv.indexOf('--gid');
    const gid = given < 0 ? (process.getgid?.() ?? 0) : argv[given + 1];
    const path = join(root, '/etc/group');
    await Bun.write(path, `${await Bun.file(path).text()}${argv.at(-1)}:x:${gid}:\n`);
    return ok;
  },
  useradd: async ({ root }, argv) => {
    const name = argv.at(-1) ?? '';
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    const path = join(root, '/etc/passwd');
    const line = `${name}:x:${uid}:${gid}::/:/usr/sbin/nologin\n`;
    await Bun.write(path, (await Bun.file(path).text()) + line);
    return ok;
  },
  userdel: async ({ root }, argv) => {
    // With the group of the same name, as userdel(8) does it.
    for (const path of [join(root, '/etc/passwd'), join(root, '/etc/group')]) {
      const lines = (await Bun.file(path).text()).split('\n');
      await Bun.write(path, lines.filter((line) => !line.startsWith(`${argv[1]}:`)).join('\n'));
    }
    return ok;
  },
  groupdel: async ({ root }, argv) => {
    const path = join(root, '/etc/group');
    const lines = (await Bun.file(path).text()).split('\n');
    await Bun.write(path, lines.filter((line) => !line.startsWith(`${argv[1]}:`)).join('\n'));
    return ok;
  },
  runuser: async ({ root, files, put }, argv, { stdin = '' }) => {
    if (argv.at(-1)?.startsWith('test -s')) {
      return { exitCode: (await files.stat(TOKEN_FILE)) === undefined ? 1 : 0 };
    }
    if (argv.at(-1)?.startsWith('cmp')) {
      return { exitCode: (await files.readText(TOKEN_FILE)) === stdin ? 0 : 1 };
    }
    const [, command, paths = ''] = /^(rm -f|rmdir) (\S.*)$/.exec(argv.at(-1) ?? '') ?? [];
    if (command !== undefined) {
      for (const path of paths.split(' ')) {
        await (command === 'rmdir'
          ? rmdir(join(root, path)).catch(() => undefined)
          : files.remove(path));
      }
      return ok;
    }
    await put(TOKEN_FILE, stdin);
    return ok;
  },
  install: async ({ put, files }, argv) => {
    await put(argv.at(-1) ?? '', (await files.readText(argv.at(-2) ?? '')) ?? '');
    return ok;
  },
  mv: async ({ root }, argv) => {
    await rename(join(root, argv[1] ?? ''), join(root, argv[2] ?? ''));
    return ok;
  },
  // There are no links and routes of pods.
  ip: () => ok,
  // The installer of k3s.
  sh: async (machine, _argv, { env = {}, onLine }) => {
    const { put, files, mayBeKilled } = machine;
    onLine?.('[INFO]  placing k3s');
    const unit = env['INSTALL_K3S_EXEC'] === 'agent' ? 'k3s-agent' : 'k3s';
    if ((await files.stat('/usr/local/bin/k3s')) === undefined) {
      return { exitCode: 1, stderr: '[ERROR] the download is skipped, but there is no k3s' };
    }
    await files.link('k3s', '/usr/local/bin/kubectl');
    await put('/usr/local/bin/k3s-killall.sh', '');
    mayBeKilled();
    await put(`/usr/local/bin/${unit}-uninstall.sh`, unit);
    mayBeKilled();
    await put(`/etc/systemd/system/${unit}.service`, '');
    if (unit === 'k3s') {
      await put('/var/lib/rancher/k3s/server/tls/server-ca.crt', CLUSTER_CA);
      await put('/var/lib/rancher/k3s/server/token', 'K10server::token\n');
    }
    return ok;
  },
  '/usr/local/bin/k3s': (machine, argv, options) => k3s(machine, argv.slice(1), options),
};

/** As k3s does of the data, where the certificate is not there: after a restore. */
async function bringCa(files: Files, put: MachineState['put']): Promise<void> {
  const path = '/var/lib/rancher/k3s/server/tls/server-ca.crt';
  if (
    (await files.stat(path)) === undefined &&
    (await files.stat('/var/lib/rancher/k3s/server/token')) !== undefined
  ) {
    await put(path, CLUSTER_CA);
  }
}

/** The cluster takes the worker in, and knows it by its password from then on. */
async function startWorker(put: MachineState['put']): Promise<Answer> {
  await put('/etc/rancher/node/password', '0123456789abcdef\n');
  await put('/var/lib/rancher/k3s/agent/client-kubelet.crt', 'of the node');
  await put(KUBELET_KUBECONFIG, 'of the kubelet');
  return ok;
}

/** What a kubelet does to its own Node. */
async function asNode(
  text: string | undefined,
  [verb, , , ...rest]: readonly string[],
  write: (text: string) => Promise<void>,
): Promise<Answer> {
  const noted = new Map(Object.entries(JSON.parse(text ?? '{}') as Record<string, string>));
  if (verb === 'annotate') {
    for (const [key = '', value] of rest.slice(1).map((each) => each.split('='))) {
      if (value === undefined) {
        noted.delete(key.slice(0, -1));
      } else {
        noted.set(key, value);
      }
    }
    await write(JSON.stringify(Object.fromEntries(noted)));
  }
  return { stdout: JSON.stringify(Object.fromEntries(noted)) };
}

const KUBELET_KUBECONFIG = '/var/lib/rancher/k3s/agent/kubelet.kubeconfig';
const NODES = {
  items: [
    {
      metadata: { name: 'node-1', labels: { 'node-role.kubernetes.io/control-plane': 'true' } },
      status: {
        addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
        conditions: [{ type: 'Ready', status: 'True' }],
        nodeInfo: { kubeletVersion: 'v1.36.3+k3s1', architecture: 'amd64' },
      },
    },
    {
      metadata: { name: 'node-2' },
      status: {
        conditions: [{ type: 'Ready', status: 'False' }],
        nodeInfo: { kubeletVersion: 'v1.36.3+k3s1', architecture: 'arm64' },
      },
    },
  ],
};

const base64 = (text: string) => Buffer.from(text).toString('base64');
const SECRETS = {
  items: [
    {
      data: {
        'token-id': base64('abcdef'),
        'token-secret': base64('0123456789abcdef'),
        description: base64('pipeops-agent'),
        expiration: base64('2099-01-01T00:00:00Z'),
      },
    },
  ],
};

const EMPTY_LIST = '{"items":[]}';

/** "kubectl apply" of a list: objects that it does not name stay as they are. */
export function applied(stored: string, given: string): string {
  interface Item {
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace?: string };
  }
  const parse = (text: string) => JSON.parse(text) as { readonly items: readonly Item[] };
  const keyOf = ({ kind, metadata }: Item) => `${kind} ${metadata.namespace} ${metadata.name}`;
  const [before, next] = [parse(stored), parse(given)];
  const changed = new Map(next.items.map((item) => [keyOf(item), item]));
  const known = new Set(before.items.map(keyOf));
  const items = [
    ...before.items.map((item) => changed.get(keyOf(item)) ?? item),
    ...next.items.filter((item) => !known.has(keyOf(item))),
  ];
  return JSON.stringify({ ...next, items });
}

async function k3s(
  { files, put }: MachineState,
  args: readonly string[],
  { stdin }: ExecOptions,
): Promise<Answer> {
  const line = args.join(' ');
  if (line === '--version') {
    return { stdout: `k3s version ${await files.readText('/usr/local/bin/k3s')} (test)` };
  }
  if (line.startsWith('crictl pull ')) {
    return ok;
  }
  if (line === 'ctr images ls -q') {
    const archives = await files.list('/var/lib/rancher/k3s/agent/images');
    return { stdout: archives.length === 0 ? '' : IMAGES.join('\n') };
  }
  if (line.startsWith('token create')) {
    return { stdout: `K10${'0'.repeat(64)}::${BOOTSTRAP_TOKEN}\n` };
  }
  if (line.startsWith('kubectl get node ') && line.includes('lastHeartbeatTime')) {
    return { stdout: `True ${new Date().toISOString()}` };
  }
  if (/^kubectl (delete secret|patch (leases|secrets)) /.test(line)) {
    return ok;
  }
  if (line.startsWith('kubectl get node ')) {
    return { stdout: 'True' };
  }
  if (line.startsWith('kubectl get nodes')) {
    return { stdout: JSON.stringify(NODES) };
  }
  if (line.startsWith('kubectl --kubeconfig=')) {
    return asNode(await files.readText('/cluster/annotations'), args.slice(2), (text) =>
      put('/cluster/annotations', text),
    );
  }
  if (line.startsWith('kubectl label secret ')) {
    return { stdout: JSON.stringify({ metadata: { name: args[3], uid: 'secret-1' } }) };
  }
  if (line.startsWith('kubectl get configmaps --namespace=pipeops-system')) {
    const account = (await files.readText('/cluster/account')) ?? EMPTY_LIST;
    const { items } = JSON.parse(account) as { items: { kind: string }[] };
    return { stdout: JSON.stringify({ items: items.filter(({ kind }) => kind === 'ConfigMap') }) };
  }
  if (line.startsWith('kubectl get configmaps')) {
    return { stdout: (await files.readText('/cluster/limits')) ?? '{"items":[]}' };
  }
  if (line.startsWith('kubectl create --filename=-')) {
    const { items } = JSON.parse(stdin ?? '{}') as {
      items: { kind: string; metadata: { name: string } }[];
    };
    const lock = items.find(({ metadata }) => metadata.name === 'pipeops-agent-server-join');
    if (lock !== undefined) {
      if ((await files.readText('/cluster/server-join')) !== undefined) {
        const what = `configmaps "${lock.metadata.name}" already exists`;
        return { exitCode: 1, stderr: `Error from server (AlreadyExists): ${what}` };
      }
      await put('/cluster/server-join', JSON.stringify(lock));
    }
    await put(
      '/cluster/limits',
      JSON.stringify({ items: items.filter(({ kind }) => kind === 'ConfigMap') }),
    );
    return ok;
  }
  if (line.startsWith('kubectl get secrets')) {
    return { stdout: JSON.stringify(SECRETS) };
  }
  // Of a cluster that was here before: what it has, and whether an agent runs in it.
  if (line.startsWith('kubectl get namespace/')) {
    return { stdout: (await files.readText('/cluster/found')) ?? '' };
  }
  if (line.startsWith('kubectl get deployment/')) {
    return { stdout: (await files.readText('/cluster/deployment')) ?? '' };
  }
  if (line.startsWith('kubectl get deployments --all-namespaces')) {
    return ok; // None.
  }
  if (line.startsWith('kubectl delete deployment/')) {
    await files.remove('/cluster/deployment');
    return ok;
  }
  if (line.startsWith('kubectl apply') && stdin?.includes('"Deployment"') === true) {
    await put('/cluster/deployment', 'deployment.apps/pipeops-agent\n');
    return ok;
  }
  if (line.startsWith('kubectl diff')) {
    const stored = (await files.readText('/cluster/account')) ?? EMPTY_LIST;
    return { exitCode: applied(stored, stdin ?? EMPTY_LIST) === stored ? 0 : 1 };
  }
  if (line.startsWith('kubectl apply')) {
    const stored = (await files.readText('/cluster/account')) ?? EMPTY_LIST;
    await put('/cluster/account', applied(stored, stdin ?? EMPTY_LIST));
    return ok;
  }
  if (line.startsWith('kubectl delete --ignore-not-found -f')) {
    await files.remove('/cluster/account');
    return ok;
  }
  if (line.startsWith('kubectl delete')) {
    return ok; // Nothing of it is there.
  }
  if (line.startsWith('kubectl create token')) {
    return { stdout: `${serviceAccountToken(new Date(), 30 * 24 * 3_600)}\n` };
  }
  return line.startsWith('token delete') ? ok : { exitCode: 1, stderr: `unknown: ${line}` };
}
