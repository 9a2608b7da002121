/** How soon the session is back, over real sockets: `kill -9` of the server, and a black hole. */
import { join } from 'node:path';
import { startFakeController } from '../../../test/control-plane/fake-controller.ts';
import { startRelay } from '../../../test/control-plane/freezing-relay.ts';
import { type Stand, startSession, TOKEN } from '../../../test/control-plane/session/stand.ts';
import { percentile } from '../../../test/load/reconnect-storm.ts';
import { tempDirectory } from '../../../test/support/temp-dir.ts';
import type { BenchCase } from '../bench-case.ts';

const CONTROL_PLANE = join(import.meta.dir, '../../control-plane.ts');
const KILLS = 50;
/** How long the server is away before it is started again, at least and at most. */
const AWAY_MS = { shortest: 200, longest: 1_000 } as const;
const BLACK_HOLES = 5;
const LOOK_MS = 5;
/** A session that is not back after this never is. */
const PATIENCE_MS = 60_000;
const TARGETS_MS = { p50: 1_000, p99: 5_000, blackHole: 15_000 } as const;

export async function benchReconnect(): Promise<readonly BenchCase[]> {
  const back = (await timesAfterKills()).toSorted((a, b) => a - b);
  const found = await timesToFindBlackHoles();
  const measured = (name: string, ours: number, target: number): BenchCase => ({
    case: name,
    unit: 'ms',
    ours: Math.round(ours),
    target,
    met: ours <= target,
  });
  return [
    measured(
      `${KILLS} × kill -9, back after the server, p50`,
      percentile(back, 0.5),
      TARGETS_MS.p50,
    ),
    measured(
      `${KILLS} × kill -9, back after the server, p99`,
      percentile(back, 0.99),
      TARGETS_MS.p99,
    ),
    measured('black hole found, slowest', Math.max(...found), TARGETS_MS.blackHole),
  ];
}

/** Milliseconds from the server's first word to a session that has registered. */
async function timesAfterKills(): Promise<readonly number[]> {
  await using directory = await tempDirectory();
  const database = join(directory.path, 'control-plane.db');
  let server = await startServer(0, database);
  const { port } = server;
  // With a choice it would take a server that dies so often for a proxy that breaks WebSockets.
  const url = `http://127.0.0.1:${port}`;
  await using stand = startSession({ url, transport: 'websocket' });
  await until(() => stand.state.counts().established === 1);
  const times: number[] = [];
  try {
    for (let kill = 1; kill <= KILLS; kill += 1) {
      await server.kill();
      const share = kill / KILLS;
      await Bun.sleep(AWAY_MS.shortest + share * (AWAY_MS.longest - AWAY_MS.shortest));
      server = await startServer(port, database);
      const backAt = performance.now();
      await until(() => stand.state.counts().established === kill + 1);
      times.push(performance.now() - backAt);
    }
    return times;
  } finally {
    await server.kill();
  }
}

async function startServer(port: number, database: string) {
  const child = Bun.spawn(
    [
      ...[process.execPath, CONTROL_PLANE, '--listen', `127.0.0.1:${port}`],
      ...['--token', TOKEN, '--db', database],
    ],
    { stdout: 'pipe', stderr: 'inherit' },
  );
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  const { url } = JSON.parse(value ?? '') as { url: string };
  const kill = async () => {
    child.kill('SIGKILL');
    await child.exited;
  };
  return { kill, port: Number(new URL(url).port) };
}

/** Milliseconds until the session knows that a connection leads nowhere any more. */
async function timesToFindBlackHoles(): Promise<readonly number[]> {
  await using server = startFakeController();
  return await Promise.all(
    Array.from({ length: BLACK_HOLES }, async () => {
      await using relay = startRelay(server.port);
      await using stand = startSession({ url: relay.url });
      await until(() => isConnected(stand));
      relay.freeze();
      const frozenAt = performance.now();
      await until(() => !isConnected(stand));
      return performance.now() - frozenAt;
    }),
  );
}

function isConnected(stand: Stand): boolean {
  return stand.state.snapshot().phase === 'connected';
}

async function until(condition: () => boolean): Promise<void> {
  const latest = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > latest) {
      throw new Error('The session did not come back');
    }
    await Bun.sleep(LOOK_MS);
  }
}
