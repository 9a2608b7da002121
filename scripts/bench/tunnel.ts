/**
 * The tunnel beside an agent in Go (hashicorp/yamux, gorilla/websocket), with the same gateway, in
 * one run: alternating, medians. Gateway, targets and agent share the processors, so ratios and not
 * absolute numbers are what counts.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { $ } from 'bun';
import { makeCertificates } from '../../test/support/tls.ts';
import { buildYamuxPeer, startGoGateway } from '../../test/yamux/go-peer.ts';
import type { BenchCase } from './bench-case.ts';
import { processorMs } from './processor-time.ts';
import { wholePathCase } from './tunnel/whole-path.ts';

/** Runtimes still compile during the first seconds; a daemon has years. */
const WARM_UP_RUNS = 1;
const RUNS = 5;
const SECONDS = 1;
/** What collects garbage late has done so after this. */
const SETTLE_MS = 3_000;
const PEER_NAME = 'agent in Go (hashicorp/yamux, gorilla/websocket 64 KiB)';

/** Of the peer's: what the agent itself needs, whatever gateway and targets leave it. */
const PROCESSOR_TIME_RATIO_MAX = 1;

const BULK_WRITE_BYTES = 32 * 1024;
const REQUEST_BYTES = 1024;
const BURST = { streams: 64, bytes: 4 * 1024 * 1024, seconds: 1 };

type Parameters = Readonly<Record<string, number | boolean>>;

interface Measure {
  readonly name: string;
  readonly scenario: string;
  readonly parameters: Parameters;
  /** Field of the gateway's answer. */
  readonly field: string;
  readonly unit: BenchCase['unit'];
  readonly secure?: boolean;
  /** What the agents did, as the gateway counted it: their processor time is told by it. */
  readonly work?: 'megabytes' | 'requests';
  /** `atLeast`: of ours / peer. `atMostMs`: of ours, which may also be twice the peer's at most. */
  readonly target: { readonly atLeast: number } | { readonly atMostMs: number };
}

const bulk = (name: string, down: number, up: number, atLeast: number): Measure => ({
  name,
  scenario: 'bench_bulk',
  parameters: { down, up, write_bytes: BULK_WRITE_BYTES },
  field: 'mb_per_second',
  unit: 'MB/s',
  work: 'megabytes',
  target: { atLeast },
});
const requests = (name: string, streamEach: boolean, atLeast: number): Measure => ({
  name,
  scenario: 'bench_requests',
  parameters: { streams: 16, stream_each: streamEach, write_bytes: REQUEST_BYTES },
  field: 'per_second',
  unit: '1/s',
  work: 'requests',
  target: { atLeast },
});
const keystroke = (down: number, up: number, secure: boolean): Measure => ({
  name: `keystroke p99 beside ${down} streams down and ${up} up, ${secure ? 'wss' : 'ws'}`,
  scenario: 'bench_keystrokes',
  parameters: { down, up, write_bytes: BULK_WRITE_BYTES },
  field: 'p99_ms',
  unit: 'ms',
  secure,
  target: { atMostMs: secure ? 20 : 10 },
});

const MEASURES: readonly Measure[] = [
  bulk('one stream down', 1, 0, 1),
  bulk('one stream up', 0, 1, 1.4),
  bulk('eight streams down', 8, 0, 0.85),
  bulk('eight streams up', 0, 8, 1),
  requests('1 KiB requests, 16 kept streams', false, 1.2),
  requests('1 KiB requests, 16 at once, a stream each', true, 1.3),
  keystroke(2, 2, false),
  keystroke(4, 0, false),
  keystroke(0, 4, false),
  keystroke(2, 2, true),
];

export async function benchTunnel(executable: string): Promise<readonly BenchCase[]> {
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-bench-'));
  try {
    const files = await prepare(directory);
    // Before the gateways and agents of the others are there.
    const wholePath = await wholePathCase(executable, directory, files);
    await using plain = await pairOf(files, false);
    await using secure = await pairOf(files, true);
    await Bun.sleep(SETTLE_MS);
    const idleMib = await memoryMib(plain.ours, 'VmRSS');
    const cases: BenchCase[] = [];
    for (const measure of MEASURES) {
      cases.push(...(await compare(measure.secure === true ? secure : plain, measure)));
    }
    await Bun.sleep(SETTLE_MS);
    const loadedMib = await memoryMib(plain.ours, 'VmRSS');
    const peakMib = await memoryMib(plain.ours, 'VmHWM');
    await using fresh = await startAgent(files, 'ours', false);
    await fresh.ask('bench_burst', BURST);
    return [
      ...cases,
      wholePath,
      memoryCase('memory idle (RSS)', idleMib, 36),
      memoryCase('memory after load (RSS)', loadedMib, 65),
      memoryCase('memory at most (RSS)', peakMib, 90),
      memoryCase('memory at most, 64 stalled streams resume', await memoryMib(fresh, 'VmHWM'), 200),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Files {
  readonly executable: string;
  readonly peer: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Compiles both agents and makes certificates for wss. */
async function prepare(directory: string): Promise<Files> {
  const at = (name: string) => join(directory, name);
  const entry = join(import.meta.dir, 'tunnel/agent.ts');
  const flags = ['--compile', '--format=esm', '--splitting', '--bytecode'];
  const minify = ['--minify-whitespace', '--minify-syntax'];
  await $`${process.execPath} build ${flags} ${minify} ${entry} --outfile ${at('agent')}`.quiet();
  const pem = await makeCertificates(['127.0.0.1']);
  for (const name of ['ca', 'cert', 'key'] as const) {
    await writeFile(at(name), pem[name]);
  }
  return {
    executable: at('agent'),
    peer: await buildYamuxPeer(),
    ca: at('ca'),
    cert: at('cert'),
    key: at('key'),
  };
}

interface Agent extends AsyncDisposable {
  readonly pid: number;
  readonly ask: (
    scenario: string,
    parameters: Parameters,
  ) => Promise<Readonly<Record<string, unknown>>>;
}

interface Pair extends AsyncDisposable {
  readonly ours: Agent;
  readonly peer: Agent;
}

/** Both agents, each with a gateway of its own, of the same executable; one works at a time. */
async function pairOf(files: Files, secure: boolean): Promise<Pair> {
  const ours = await startAgent(files, 'ours', secure);
  const peer = await startAgent(files, 'peer', secure);
  return {
    ours,
    peer,
    [Symbol.asyncDispose]: async () => {
      await ours[Symbol.asyncDispose]();
      await peer[Symbol.asyncDispose]();
    },
  };
}

async function startAgent(files: Files, which: 'ours' | 'peer', secure: boolean): Promise<Agent> {
  const gateway = await startGoGateway(secure ? { tlsCert: files.cert, tlsKey: files.key } : {});
  const argv =
    which === 'ours'
      ? [files.executable, gateway.url, ...(secure ? [files.ca] : [])]
      : [files.peer, 'agent', gateway.url];
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'ignore', stderr: 'inherit' });
  await gateway.ask('connect');
  return {
    pid: child.pid,
    ask: (scenario, parameters) => gateway.ask(scenario, parameters),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await child.exited;
      await gateway[Symbol.asyncDispose]();
    },
  };
}

interface Run {
  readonly value: number;
  readonly processorMs: number;
  readonly work: number;
}

/** Medians of alternating runs, so that a busy moment hits both. */
async function compare(pair: Pair, measure: Measure): Promise<readonly BenchCase[]> {
  const runs = { ours: [] as Run[], peer: [] as Run[] };
  for (let run = -WARM_UP_RUNS; run < RUNS; run += 1) {
    for (const which of ['ours', 'peer'] as const) {
      const result = await runOnce(pair[which], measure);
      if (run >= 0) {
        runs[which].push(result);
      }
    }
  }
  const ratioOf = (pick: (run: Run) => number) => {
    const [ours, peer] = [median(runs.ours.map(pick)), median(runs.peer.map(pick))];
    return { ours, peer, peer_name: PEER_NAME, ratio: round(ours / peer) };
  };
  const { target, work, unit } = measure;
  const values = ratioOf((run) => run.value);
  const { ours, ratio } = values;
  const cases: BenchCase[] = [
    {
      case: measure.name,
      unit,
      ...values,
      ...('atLeast' in target
        ? { target: target.atLeast, met: ratio >= target.atLeast }
        : { target: target.atMostMs, met: ours <= target.atMostMs && ratio <= 2 }),
    },
  ];
  if (work !== undefined) {
    const times = ratioOf((run) => (1_000 * run.processorMs) / run.work);
    const name = `${measure.name}: processor time a ${work === 'requests' ? 'request' : 'MB'}`;
    const most = PROCESSOR_TIME_RATIO_MAX;
    cases.push({ case: name, unit: 'µs', ...times, target: most, met: times.ratio <= most });
  }
  return cases;
}

async function runOnce(agent: Agent, measure: Measure): Promise<Run> {
  const before = await processorMs(agent.pid);
  const answer = await agent.ask(measure.scenario, { ...measure.parameters, seconds: SECONDS });
  return {
    value: Number(answer[measure.field]),
    processorMs: (await processorMs(agent.pid)) - before,
    work: measure.work === undefined ? 0 : Number(answer[measure.work]),
  };
}

function memoryCase(name: string, mib: number, target: number): BenchCase {
  return { case: name, unit: 'MiB', ours: mib, target, met: mib <= target };
}

async function memoryMib(agent: Agent, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await Bun.file(`/proc/${agent.pid}/status`).text();
  const kib = new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1];
  return round(Number(kib) / 1_024);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return round(sorted[Math.floor(sorted.length / 2)] ?? 0);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
