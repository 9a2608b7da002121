/**
 * The proxy beside `kubectl proxy`, in front of the same API server, in one run: alternating,
 * medians. The API server here is a fast one in Go, so that it is not the limit; everything shares
 * the processors, so ratios and not absolute numbers are what counts. Throughput also depends on what
 * the load generator and the API server need; the processor time of the proxy itself does not.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { $ } from 'bun';
import {
  buildHttpPeer,
  type LoadResult,
  runLoad,
  runWatch,
  startPeer,
  type WatchResult,
} from '../../test/proxy/http-peer.ts';
import { makeCertificates } from '../../test/support/tls.ts';
import { buildK3s, K3S_VERSION } from '../../test/vm/k3s-build.ts';
import type { BenchCase } from './bench-case.ts';
import { processorMs } from './processor-time.ts';

/** Runtimes still compile during the first seconds; a daemon has years. */
const WARM_UP_RUNS = 2;
const RUNS = 5;
const SECONDS = 2;
const CONNECTIONS = 16;
const WATCHES = 1_000;
const WATCH_SECONDS = 5;
const WATCH_RUNS = 3;
const BULK_MIB = 512;
const SMALL = '/api/v1/namespaces/default/configmaps/small';
const BULK = `/api/v1/namespaces/default/configmaps/bulk?mib=${BULK_MIB}`;
const WATCH = '/api/v1/namespaces/default/pods?watch=true';
const KUBECTL = 'kubectl proxy';

/** Where requests go in: an address, and what it takes to be let in. */
interface Place {
  readonly url: string;
  readonly ca?: string;
  readonly header?: string;
}

/** A place, and the process behind it. */
interface Door {
  readonly place: Place;
  readonly pid: number;
}

interface DoorRun extends LoadResult {
  readonly processorMs: number;
}

interface Stand extends AsyncDisposable {
  readonly peer: string;
  readonly agentPid: number;
  readonly direct: Place;
  readonly plain: Door;
  readonly tls: Door;
  readonly kubectl: Door;
}

export async function benchProxy(): Promise<readonly BenchCase[]> {
  await using stand = await openStand();
  const idleMib = await memoryMib(stand.agentPid, 'VmRSS');
  const small = await alternate(stand, [stand.plain, stand.kubectl, stand.tls], SMALL);
  const bulk = await alternate(stand, [stand.plain, stand.kubectl, stand.tls], BULK, 1);
  const cases = [
    ...against('small GET, 16 connections', small, (run) => run.per_second, '1/s', 1.5),
    latencyCase('small GET p99, 16 connections', small),
    ...processorCases('processor time a small GET', small, (run) => run.requests, 0.5),
    ...against(`${BULK_MIB} MiB, one connection`, bulk, (run) => run.mb_per_second, 'MB/s', 1.2),
    ...processorCases('processor time a MB', bulk, (run) => run.megabytes, 1),
    ...(await watchCases(stand)),
    memoryCase('memory idle (RSS)', idleMib, 60),
    memoryCase('memory at most (RSS)', await memoryMib(stand.agentPid, 'VmHWM'), 200),
  ];
  return cases;
}

async function openStand(): Promise<Stand> {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-bench-'));
  const at = (name: string) => join(directory, name);
  const pem = await makeCertificates(['127.0.0.1']);
  for (const name of ['ca', 'cert', 'key'] as const) {
    await writeFile(at(name), pem[name]);
  }
  const peer = await buildHttpPeer();
  const upstream = await startPeer([peer, 'upstream', '--cert', at('cert'), '--key', at('key')]);
  const api = `https://127.0.0.1:${upstream.line}`;
  const entry = join(import.meta.dir, 'proxy/doors.ts');
  const flags = ['--compile', '--format=esm', '--bytecode', '--minify-whitespace'];
  await $`${process.execPath} build ${flags} --minify-syntax ${entry} --outfile ${at('doors')}`.quiet();
  const doors = await startPeer([at('doors'), api, at('ca'), directory]);
  const ports = JSON.parse(doors.line) as { http: number; tls: number };
  await writeFile(at('kubeconfig'), kubeconfig(api, pem.ca));
  const k3s = await buildK3s(K3S_VERSION);
  const kubectl = await startPeer([
    ...[k3s, 'kubectl', '--kubeconfig', at('kubeconfig'), 'proxy', '--port=0'],
  ]);
  const header = `Authorization: Bearer ${(await Bun.file(at('local-token')).text()).trim()}`;
  return {
    peer,
    agentPid: doors.pid,
    direct: { url: api, ca: at('ca') },
    plain: { pid: doors.pid, place: { url: `http://127.0.0.1:${ports.http}/proxy`, header } },
    tls: {
      pid: doors.pid,
      place: { url: `https://127.0.0.1:${ports.tls}/proxy`, ca: at('door.pem'), header },
    },
    // "Starting to serve on 127.0.0.1:34567"
    kubectl: { pid: kubectl.pid, place: { url: `http://${kubectl.line.split(' ').at(-1)}` } },
    [Symbol.asyncDispose]: async () => {
      for (const each of [kubectl, doors, upstream]) {
        await each[Symbol.asyncDispose]();
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function kubeconfig(server: string, ca: string): string {
  const cluster = { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bench',
    clusters: [{ name: 'bench', cluster }],
    users: [{ name: 'bench', user: { token: 'the-agents-token' } }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
  });
}

/** The runs of each door in turn, so that a busy moment hits all. @returns by door: ours, kubectl, tls */
async function alternate(
  stand: Stand,
  doors: readonly Door[],
  path: string,
  connections = CONNECTIONS,
): Promise<readonly (readonly DoorRun[])[]> {
  const results = doors.map((): DoorRun[] => []);
  for (let run = -WARM_UP_RUNS; run < RUNS; run += 1) {
    for (const [index, { place, pid }] of doors.entries()) {
      const { url, ...trust } = place;
      const options = { url: `${url}${path}`, connections, seconds: SECONDS, ...trust };
      const before = await processorMs(pid);
      const result = await runLoad(stand.peer, options);
      if (result.failed > 0) {
        throw new Error(`${result.failed} requests failed at ${url}`);
      }
      if (run >= 0) {
        results[index]?.push({ ...result, processorMs: (await processorMs(pid)) - before });
      }
    }
  }
  return results;
}

function against(
  name: string,
  results: readonly (readonly DoorRun[])[],
  pick: (run: DoorRun) => number,
  unit: BenchCase['unit'],
  target: number,
): readonly BenchCase[] {
  return besideKubectl(name, results, pick, unit).map((each) => {
    return { ...each, target, met: each.ratio >= target };
  });
}

/** Of the process alone, whatever else the processors do: at most that share of the peer's. */
function processorCases(
  name: string,
  results: readonly (readonly DoorRun[])[],
  work: (run: DoorRun) => number,
  target: number,
): readonly BenchCase[] {
  const pick = (run: DoorRun) => (1_000 * run.processorMs) / work(run);
  return besideKubectl(name, results, pick, 'µs').map((each) => {
    return { ...each, target, met: each.ratio <= target };
  });
}

/** Both doors, by medians. */
function besideKubectl(
  name: string,
  results: readonly (readonly DoorRun[])[],
  pick: (run: DoorRun) => number,
  unit: BenchCase['unit'],
) {
  const [plain = 0, peer = 0, tls = 0] = results.map((runs) => median(runs.map(pick)));
  const compare = (door: string, ours: number) => {
    const ratio = round(ours / peer);
    return { case: `${name}, ${door}`, unit, ours, peer, peer_name: KUBECTL, ratio };
  };
  return [compare('127.0.0.1:8080', plain), compare('TLS door', tls)];
}

/** No higher than the peer's. */
function latencyCase(name: string, results: readonly (readonly DoorRun[])[]): BenchCase {
  const [ours = 0, peer = 0] = results.map((runs) => median(runs.map((run) => run.p99_ms)));
  const ratio = round(ours / peer);
  return {
    case: name,
    unit: 'ms',
    ours,
    peer,
    peer_name: KUBECTL,
    ratio,
    target: 1,
    met: ours <= peer,
  };
}

/** How much later events come than without the proxy. */
async function watchCases(stand: Stand): Promise<readonly BenchCase[]> {
  const measure = async ({ url, ...trust }: Place) => {
    const options = { url: `${url}${WATCH}`, connections: WATCHES, seconds: WATCH_SECONDS };
    const result = await runWatch(stand.peer, { ...options, ...trust });
    if (result.failed > 0) {
      throw new Error(`${result.failed} watches failed at ${url}`);
    }
    return result;
  };
  const places = {
    direct: stand.direct,
    '127.0.0.1:8080': stand.plain.place,
    'TLS door': stand.tls.place,
  };
  const results = new Map<string, WatchResult[]>(Object.keys(places).map((name) => [name, []]));
  for (let run = 0; run < WATCH_RUNS; run += 1) {
    for (const [name, place] of Object.entries(places)) {
      results.get(name)?.push(await measure(place));
    }
  }
  const added = (door: string, pick: 'p50_ms' | 'p99_ms', target: number): BenchCase => {
    const of = (name: string) => median((results.get(name) ?? []).map((run) => run[pick]));
    const value = round(of(door) - of('direct'));
    return {
      ...{
        case: `${WATCHES} watches, added ${pick.slice(0, 3)}, ${door}`,
        unit: 'ms',
        ours: value,
      },
      peer: of('direct'),
      peer_name: 'direct (whole)',
      target,
      met: value <= target,
    };
  };
  return ['127.0.0.1:8080', 'TLS door'].flatMap((door) => [
    added(door, 'p50_ms', 0.2),
    added(door, 'p99_ms', 1),
  ]);
}

function memoryCase(name: string, mib: number, target: number): BenchCase {
  return { case: name, unit: 'MiB', ours: mib, target, met: mib <= target };
}

async function memoryMib(pid: number, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return round(Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1_024);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return round(sorted[Math.floor(sorted.length / 2)] ?? 0);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
