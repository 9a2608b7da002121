/** Line coverage of all of src: bun leaves out what no test has loaded, here it counts as 0 %. */
import { join } from 'node:path';
import { Glob } from 'bun';

/** How many files the report names. */
const WORST_MAX = 15;

export interface Coverage {
  readonly percent: number;
  /** The files with the most lines that no test ran. */
  readonly worst: readonly { readonly path: string; readonly missed: number }[];
}

/** @param reportPath an lcov file, as `bun test --coverage-reporter=lcov` writes it */
export async function coverageOfSources(root: string, reportPath: string): Promise<Coverage> {
  const report = Bun.file(reportPath);
  const known = readLcov((await report.exists()) ? await report.text() : '');
  let found = 0;
  let hit = 0;
  const worst: { path: string; missed: number }[] = [];
  for await (const path of new Glob('src/**/*.ts').scan({ cwd: root })) {
    if (path.endsWith('.d.ts')) {
      continue;
    }
    const lines = known.get(path) ?? {
      found: countCodeLines(await Bun.file(join(root, path)).text()),
      hit: 0,
    };
    found += lines.found;
    hit += lines.hit;
    worst.push({ path, missed: lines.found - lines.hit });
  }
  return {
    percent: found === 0 ? 0 : (100 * hit) / found,
    worst: worst.sort((a, b) => b.missed - a.missed).slice(0, WORST_MAX),
  };
}

function readLcov(text: string): Map<string, { found: number; hit: number }> {
  const files = new Map<string, { found: number; hit: number }>();
  for (const record of text.split('end_of_record')) {
    const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(record)?.[1];
    const path = field('SF');
    if (path !== undefined) {
      files.set(path, { found: Number(field('LF') ?? 0), hit: Number(field('LH') ?? 0) });
    }
  }
  return files;
}

/** Lines that are neither blank nor comment, a file that only declares types has none. */
function countCodeLines(text: string): number {
  const javascript = new Bun.Transpiler({ loader: 'ts' }).transformSync(text);
  return javascript.split('\n').filter((line) => line.trim() !== '').length;
}
