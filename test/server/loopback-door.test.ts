import { afterEach, beforeEach, expect, test } from 'bun:test';
import { Agent, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { join } from 'node:path';
import { type ServiceManager, serviceManager } from '../support/service-manager.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { makeCertificates, type TestCertificates } from '../support/tls.ts';
import { until } from '../support/until.ts';

const PROGRAM = join(import.meta.dir, '../support/kept-door-program.ts');
/** Between two requests of a client: 50 a second. */
const PACE_MS = 20;
const REQUEST_MS_MAX = 20_000;
/** A connection for each request. */
const NEW = new Agent({ keepAlive: false });

let directory: TempDirectory;
let manager: ServiceManager;
let certificates: TestCertificates;
beforeEach(async () => {
  directory = await tempDirectory();
  manager = serviceManager(join(directory.path, 'notify'));
  certificates = await makeCertificates(['127.0.0.1']);
});
afterEach(async () => {
  manager[Symbol.dispose]();
  await directory[Symbol.asyncDispose]();
});

/** Starts the doors as systemd would: what it has in its store is handed over. */
async function start(name: string, ports: readonly number[] = [0, 0]) {
  const stored = [...manager.stored()];
  const words = [process.execPath, PROGRAM, ...ports.map(String), name];
  // Only the process itself knows its number.
  const child = Bun.spawn(['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh', ...words], {
    env: {
      NOTIFY_SOCKET: join(directory.path, 'notify'),
      LISTEN_FDS: String(stored.length),
      LISTEN_FDNAMES: stored.map(([each]) => each).join(':'),
      TLS: JSON.stringify({ cert: certificates.cert, key: certificates.key }),
    },
    stdio: ['ignore', 'pipe', 'inherit', ...stored.map(([, descriptor]) => descriptor)],
  });
  const { value } = await child.stdout.getReader().read();
  const [plain = 0, tls = 0] = JSON.parse(Buffer.from(value ?? []).toString()) as number[];
  manager.stored();
  return {
    ports: [plain, tls] as const,
    /** @returns how many lines it has logged */
    stop: async () => {
      child.kill('SIGTERM');
      return await child.exited;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}

/** @returns who has answered, or the code of the failure */
function ask(port: number, agent: Agent | TlsAgent): Promise<string> {
  const isTls = agent instanceof TlsAgent;
  const options = { host: '127.0.0.1', port, agent, ca: certificates.ca, timeout: REQUEST_MS_MAX };
  return new Promise((resolve) => {
    const asked = (isTls ? tlsRequest : plainRequest)(options, (response) => {
      let text = '';
      response.on('data', (bytes: Buffer) => {
        text += bytes.toString();
      });
      response.on('end', () => resolve(text));
      response.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
    asked.on('timeout', () => asked.destroy(new Error('nobody answers')));
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    asked.end();
  });
}

/** Clients that ask all the time, each in its way. */
function clients([plain, tls]: readonly [number, number]) {
  const kinds = {
    'a connection for each': { port: plain, agent: new Agent({ keepAlive: false }) },
    'one connection': { port: plain, agent: new Agent({ keepAlive: true, maxSockets: 1 }) },
    'TLS, a connection for each': { port: tls, agent: new TlsAgent({ keepAlive: false }) },
    'TLS, one connection': { port: tls, agent: new TlsAgent({ keepAlive: true, maxSockets: 1 }) },
  };
  const asking = Object.entries(kinds).map(([kind, { port, agent }]) => {
    const asked: Promise<void>[] = [];
    const heard = new Set<string>();
    const once = async () => void heard.add(await ask(port, agent));
    const timer = setInterval(() => void asked.push(once()), PACE_MS);
    return { kind, asked, heard, timer, agent };
  });
  return {
    heard: (name: string) => asking.every(({ heard }) => heard.has(name)),
    /** @returns what each kind of client has heard */
    stop: async () => {
      for (const { timer, asked, agent } of asking) {
        clearInterval(timer);
        await Promise.all(asked);
        agent.destroy();
      }
      return Object.fromEntries(asking.map(({ kind, heard }) => [kind, [...heard].sort()]));
    },
  };
}

test('over a restart no client is refused, whether it connects anew or keeps its connection', async () => {
  const first = await start('first');
  const asking = clients(first.ports);
  await until('all hear the first', () => asking.heard('first'));
  expect(await first.stop()).toBe(0);
  const second = await start('second', first.ports);
  await until('all hear the second', () => asking.heard('second'));
  expect(await second.stop()).toBe(0);
  const third = await start('third', first.ports);
  await until('all hear the third', () => asking.heard('third'));
  const all = ['first', 'second', 'third'];
  expect(await asking.stop()).toEqual({
    'a connection for each': all,
    'one connection': all,
    'TLS, a connection for each': all,
    'TLS, one connection': all,
  });
  expect(await third.stop()).toBe(0);
});

test('when the agent is killed, clients are refused at once, and the next one listens anew', async () => {
  const first = await start('first');
  const [port] = first.ports;
  await first.stop();
  const second = await start('second', first.ports);
  expect(await ask(port, NEW)).toBe('second');
  await second.kill();
  expect(await ask(port, NEW)).toBe('ECONNREFUSED');
  const third = await start('third', first.ports);
  expect(await ask(port, NEW)).toBe('third');
  await third.stop();
});

test('a socket whose port is not wanted any more is closed', async () => {
  const first = await start('first');
  await first.stop();
  const [port] = first.ports;
  const waiting = ask(port, NEW);
  const second = await start('second');
  expect(await waiting).toBe('ECONNRESET');
  expect([...manager.stored().keys()]).toEqual([]);
  expect(await ask(port, NEW)).toBe('ECONNREFUSED');
  await second.stop();
});
