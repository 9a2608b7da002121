/** Builds the k3s for tests (test/k3s) and keeps the binary in the cache. */

import { join } from 'node:path';
import { Glob } from 'bun';
import { buildOnce, contentHash } from './cache.ts';
import { goBuild } from './go-build.ts';
import type { Tell } from './progress.ts';

/** What the k3s for tests is made of and calls itself. */
export const K3S_VERSION = 'v1.36.3+k3s1';

const SOURCES = join(import.meta.dir, '..', 'k3s');

/** Any other combination of tags compiles everything again. */
export const GO_ENVIRONMENT = {
  CGO_ENABLED: '0',
  GOFLAGS: '-trimpath -tags=netgo,osusergo,providerless',
};

/** The installer that goes with the binary. */
export const K3S_INSTALLER = join(SOURCES, 'install.sh');

/**
 * The path of the binary.
 * @param version what it says it is, for upgrade tests: `v1.36.<patch>+k3s<n>`.
 * @param tell a cold build compiles all of Kubernetes: 6 to 12 minutes on 2 cores, seconds afterwards
 */
export async function buildK3s(version: string, tell?: Tell): Promise<string> {
  const names = [...new Glob('*.{go,mod,sum}').scanSync(SOURCES)].filter(
    (name) => !name.endsWith('_test.go'),
  );
  const texts = await Promise.all(
    names.sort().map(async (name) => `${name}\n${await Bun.file(join(SOURCES, name)).text()}`),
  );
  const linkerFlags = [
    '-s -w',
    `-X main.Version=${version}`,
    `-X k8s.io/component-base/version.gitVersion=${version}`,
    `-X k8s.io/client-go/pkg/version.gitVersion=${version}`,
  ].join(' ');
  const hash = contentHash([...texts, linkerFlags, JSON.stringify(GO_ENVIRONMENT), process.arch]);
  const build = async (output: string, say: Tell) => {
    const args = ['-ldflags', linkerFlags, '-o', join(output, 'k3s')];
    const env = { ...inheritedEnvironment(), ...GO_ENVIRONMENT };
    await goBuild({ program: 'go', cwd: SOURCES, env, args }, say);
  };
  const directory = await buildOnce(join('k3s', hash), build, tell);
  return join(directory, 'k3s');
}

function inheritedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  );
}
