/** cloud-init's own schema of user-data, from its Debian package. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { buildOnce } from '../vm/cache.ts';
import { runCommand } from '../vm/host-command.ts';
import { aptEnvironment } from '../vm/packages.ts';

const FETCH_TIMEOUT_MS = 120_000;
const IN_PACKAGE =
  'usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json';
const FILE = 'schema.json';

const Schema = z.object({
  $defs: z.record(
    z.string(),
    z.looseObject({ properties: z.record(z.string(), z.unknown()).optional() }),
  ),
});

/** @returns what is wrong with user-data, a line each; empty where cloud-init takes it */
export async function userDataProblems(text: string): Promise<readonly string[]> {
  const { $defs } = Schema.parse(await Bun.file(join(await fetched(), FILE)).json());
  const modules = Object.values($defs);
  const data = z.record(z.string(), z.unknown()).parse(Bun.YAML.parse(text));
  return Object.entries(data).flatMap(([key, value]) => {
    const schema = modules.find(({ properties }) => properties?.[key] !== undefined)?.properties?.[
      key
    ];
    if (schema === undefined) {
      return [`${key}: cloud-init knows no such key`];
    }
    // Each key by itself: zod does not read the whole of that schema.
    const known = z.fromJSONSchema({ ...(schema as object), $defs } as never);
    const read = known.safeParse(value);
    return read.success
      ? []
      : read.error.issues.map(({ path, message }) => `${key}.${path.join('.')}: ${message}`);
  });
}

/** Fetched once; needs the package archive of the host. */
function fetched(): Promise<string> {
  return buildOnce('cloud-init-schema', async (directory) => {
    const options = { cwd: directory, timeoutMs: FETCH_TIMEOUT_MS, env: aptEnvironment() };
    await runCommand(['apt-get', 'download', 'cloud-init'], options);
    await runCommand(['sh', '-c', 'dpkg-deb -x cloud-init*.deb package'], options);
    await rename(join(directory, 'package', IN_PACKAGE), join(directory, FILE));
  });
}
