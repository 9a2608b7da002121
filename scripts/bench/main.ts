/**
 * The benchmarks: `bun run bench [name] [--json]`. Numbers of this machine, beside a peer. `install` needs root
 * and minutes, and so runs only by its name.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { $ } from 'bun';
import type { BenchCase } from './bench-case.ts';
import { benchInstall } from './install.ts';
import { benchMetrics } from './metrics.ts';
import { benchProxy } from './proxy.ts';
import { benchSession } from './session.ts';
import { benchStart } from './start.ts';
import { benchTraces } from './traces.ts';
import { benchTunnel } from './tunnel.ts';

const ROOT = join(import.meta.dir, '../..');

const USUAL = {
  ...{ start: benchStart, metrics: benchMetrics, proxy: benchProxy },
  ...{ session: benchSession, traces: benchTraces, tunnel: benchTunnel },
};
const BENCHMARKS: Readonly<Record<string, (executable: string) => Promise<readonly BenchCase[]>>> =
  { ...USUAL, install: benchInstall };

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean' } },
  allowPositionals: true,
});
const names = positionals.length === 0 ? Object.keys(USUAL) : positionals;
const commit = (await $`git rev-parse --short HEAD`.cwd(ROOT).nothrow().quiet().text()).trim();
await $`${process.execPath} scripts/build.ts --target ${`linux-${process.arch}`}`.cwd(ROOT).quiet();
for (const name of names) {
  const benchmark = BENCHMARKS[name];
  if (benchmark === undefined) {
    console.error(`Unknown benchmark "${name}". Known: ${Object.keys(BENCHMARKS).join(', ')}`);
    process.exit(2);
  }
  const cases = await benchmark(join(ROOT, 'dist', `pipeops-agent-linux-${process.arch}`));
  if (values.json === true) {
    console.log(JSON.stringify({ name, machine: hostname(), commit, cases }, null, 2));
  } else {
    console.table(cases);
  }
}
