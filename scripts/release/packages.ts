/** The packages for apt and dnf, of one spec: scripts/package/nfpm.yaml. They need Go. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { $ } from 'bun';
import { PACKAGED_PLACES } from '../../src/core/places.ts';
import { unitTextsFor } from '../../src/host/agent/unit-texts.ts';
import { ReleaseProblem } from './problem.ts';

const ROOT = join(import.meta.dir, '../..');
/** Its checksum is verified by Go's public log of modules. */
const NFPM = 'github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2';
const SPEC = join(ROOT, 'scripts/package/nfpm.yaml');
type PackageFormat = 'deb' | 'rpm';
const FORMATS: readonly PackageFormat[] = ['deb', 'rpm'];
/** As Go calls the processors of `scripts/build.ts --target`. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  'linux-x64': 'amd64',
  'linux-arm64': 'arm64',
};

export interface PackagedProgram {
  /** Unpacked. */
  readonly program: string;
  readonly version: string;
  /** `linux-x64` */
  readonly target: string;
  /** When it was made, for all files in the package. */
  readonly date: Date;
  /** Packed well, which takes ten times as long. */
  readonly isSmall: boolean;
}

/**
 * Writes a deb and an rpm into the directory `out`. The same program gives the same bytes.
 * @throws ReleaseProblem
 */
export async function buildPackages(
  packaged: PackagedProgram,
  out: string,
  formats = FORMATS,
): Promise<void> {
  const arch = ARCHITECTURES[packaged.target];
  if (arch === undefined) {
    throw new ReleaseProblem(`There are no packages for ${packaged.target}`);
  }
  const units = await mkdtemp(join(tmpdir(), 'pipeops-units-'));
  try {
    for (const { path, text } of Object.values(unitTextsFor(PACKAGED_PLACES))) {
      await Bun.write(join(units, basename(path)), text);
    }
    await mkdir(out, { recursive: true });
    const text = await Bun.file(SPEC).text();
    const packing = packaged.isSmall ? 'zstd' : 'zstd:fastest';
    const spec = new Response(text.replaceAll('compression: zstd', `compression: ${packing}`));
    const env = {
      ...Bun.env,
      PACKAGE_ARCH: arch,
      PACKAGE_VERSION: packaged.version,
      PACKAGE_PROGRAM: packaged.program,
      PACKAGE_UNITS: units,
      SOURCE_DATE_EPOCH: String(Math.floor(packaged.date.getTime() / 1_000)),
    };
    for (const format of formats) {
      const words = ['package', '--config', '-', '--packager', format, '--target', out];
      const ran = await $`go run ${NFPM} ${words} < ${spec.clone()}`
        .cwd(ROOT)
        .env(env)
        .nothrow()
        .quiet();
      if (ran.exitCode !== 0) {
        throw new ReleaseProblem(
          `The ${format} was not made: ${ran.stderr.toString().trim() || ran.stdout.toString().trim()}`,
        );
      }
    }
  } finally {
    await rm(units, { recursive: true });
  }
}
