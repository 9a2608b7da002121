/** The container images, pushed to a registry, taken from it and started: without a container engine. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until.ts';
import { runCommand } from './host-command.ts';

const PROJECT = join(import.meta.dir, '../..');
const SCRIPT = join(PROJECT, 'scripts/image/main.ts');
const CRANE = 'github.com/google/go-containerregistry/cmd/crane@v0.22.1';
const USER = '65532';
const BUILD_TIMEOUT_MS = 600_000;

let scratch: string;
let crane: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'image-test-'));
  const env = { ...process.env, GOBIN: scratch } as Record<string, string>;
  await runCommand(['go', 'install', CRANE], { timeoutMs: BUILD_TIMEOUT_MS, env });
  crane = join(scratch, 'crane');
});

afterAll(async () => await rm(scratch, { recursive: true }));

async function build(image: string, directory: string, ...more: readonly string[]) {
  const argv = [process.execPath, SCRIPT, image, '--out', join(scratch, directory), ...more];
  return (await runCommand(argv, { timeoutMs: BUILD_TIMEOUT_MS })).stdout.trim();
}

/** Of the index: one for each processor. */
async function manifests(directory: string): Promise<readonly unknown[]> {
  return (await Bun.file(join(scratch, directory, 'index.json')).json()).manifests;
}

/** Starts a program of an image that was unpacked to `root`, as a container engine would. */
function start(root: string, ...argv: readonly string[]) {
  const script = `mount -t proc proc "$0/proc" && exec chroot --userspec=${USER}:${USER} "$0" "$@"`;
  const own = ['unshare', '--mount', '--pid', '--net', '--fork', '--kill-child'];
  return Bun.spawn([...own, 'sh', '-c', script, root, ...argv], { stdout: 'pipe', stderr: 'pipe' });
}

/** `unshare` lets SIGTERM pass by; with its own end goes what it has started. */
async function end(child: ReturnType<typeof start>): Promise<void> {
  child.kill('SIGKILL');
  await child.exited;
}

async function unpack(reference: string, name: string): Promise<string> {
  const [archive, root] = [join(scratch, `${name}.tar`), join(scratch, name)];
  await runCommand([crane, 'export', '--platform', platform(), reference, archive], {});
  await mkdir(join(root, 'proc'), { recursive: true });
  await runCommand(['tar', '--extract', '--file', archive, '--directory', root], {});
  return root;
}

function platform(): string {
  return process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64';
}

const target = process.arch === 'arm64' ? 'linux-arm64' : 'linux-x64';

test('images for both processors are pushed to a registry, whole; the same sources give the same', async () => {
  const digest = await build('control-plane', 'control-plane');
  await build('control-plane', 'again', '--target', target);
  const [again] = await manifests('again');
  expect(
    (await manifests('control-plane')).filter((each) => Bun.deepEquals(each, again)),
  ).toHaveLength(1);
  await using registry = await startRegistry();
  const reference = `${registry.host}/control-plane:test`;
  const argv = [
    process.execPath,
    SCRIPT,
    'push',
    '--from',
    join(scratch, 'control-plane'),
    '--to',
    reference,
  ];
  await runCommand(argv, { timeoutMs: BUILD_TIMEOUT_MS });
  expect((await runCommand([crane, 'digest', reference], {})).stdout.trim()).toBe(digest);
  for (const each of ['linux/amd64', 'linux/arm64']) {
    await runCommand([crane, 'validate', '--remote', reference, '--platform', each], {});
  }
  const root = await unpack(reference, 'control-plane-root');
  await Bun.write(join(root, 'run/secrets/control-plane-token'), 'a-token-for-this-test\n');
  const child = start(
    root,
    '/usr/local/bin/control-plane',
    '--token-file',
    '/run/secrets/control-plane-token',
  );
  const { value } = await child.stdout.getReader().read();
  await end(child);
  expect(JSON.parse(new TextDecoder().decode(value))).toEqual({
    url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    admin_url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
  });
});

test('the agent runs in its image as a user without rights', async () => {
  const digest = await build('agent', 'agent', '--target', target);
  await using registry = await startRegistry();
  const reference = `${registry.host}/agent:test`;
  await runCommand([crane, 'push', '--index', join(scratch, 'agent'), reference], {});
  expect((await runCommand([crane, 'digest', reference], {})).stdout.trim()).toBe(digest);
  const root = await unpack(reference, 'agent-root');
  const version = start(root, '/usr/local/bin/pipeops-agent', 'version');
  expect(await version.stdout.text()).toStartWith('pipeops-agent ');
  const daemon = start(root, '/usr/local/bin/pipeops-agent', 'run');
  let log = '';
  const decoder = new TextDecoder();
  for await (const chunk of daemon.stderr) {
    log += decoder.decode(chunk);
    if (log.includes('listening port=8080')) {
      break;
    }
  }
  await end(daemon);
  expect(log).toContain('listening port=8080 socket=/run/pipeops-agent/daemon/agent.sock');
});

/** A registry that keeps what it is given in memory. */
async function startRegistry(): Promise<{ readonly host: string } & AsyncDisposable> {
  const log = Bun.file(join(scratch, `registry-${crypto.randomUUID()}.log`));
  const argv = [crane, 'registry', 'serve', '--address', '127.0.0.1:0'];
  const child = Bun.spawn(argv, { stdout: 'ignore', stderr: log });
  let port: string | undefined;
  await until('the registry answers', async () => {
    port = /serving on port (\d+)/.exec(await log.text())?.[1];
    return port !== undefined && (await fetch(`http://127.0.0.1:${port}/v2/`)).ok;
  });
  return {
    host: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await child.exited;
    },
  };
}
