/** What a release is made of, in CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/): its SBOM. */
import { join } from 'node:path';
import * as z from 'zod';

const Package = z
  .tuple([z.string()])
  .rest(z.unknown())
  .transform(([id, ...rest]) => ({
    id,
    dependencies:
      z
        .looseObject({
          dependencies: z.record(z.string(), z.string()).optional(),
        })
        .parse(rest.find((each) => typeof each === 'object') ?? {}).dependencies ?? {},
    integrity: rest.map(String).find((each) => each.startsWith('sha512-')),
  }));
const Lock = z.object({
  workspaces: z.object({ '': z.object({ dependencies: z.record(z.string(), z.string()) }) }),
  packages: z.record(z.string(), Package),
});
const PackageFile = z.looseObject({ license: z.string().optional() });

/**
 * All packages that the program may contain: those of bun.lock that it needs when it runs, and Bun itself,
 * which is in every executable. The bundler leaves out what nothing calls.
 */
export async function softwareBill(
  root: string,
  about: { readonly version: string; readonly date: Date },
): Promise<unknown> {
  const text = await Bun.file(join(root, 'bun.lock')).text();
  // The file is JSON with commas at the ends of lists.
  const lock = Lock.parse(JSON.parse(text.replaceAll(/,(\s*[}\]])/g, '$1')));
  const own = `pkg:github/pipeops/pipeops-agent@${about.version}`;
  const used = closure(lock);
  const bun = await bunComponent(root);
  const licenses = await Promise.all([...used.keys()].map((path) => licenseOf(root, path)));
  const entries = [...used].map(([path, { id, integrity }], index) =>
    component(path, id, integrity, licenses[index]),
  );
  const refOf = (path: string) => purlOf(used.get(path)?.id ?? '');
  const direct = Object.keys(lock.workspaces[''].dependencies).map((name) => refOf(name));
  const unique = new Map(entries.map((entry) => [entry.purl, entry]));
  const edges = new Map(
    [...used].map(([path, { dependencies }]) => [
      refOf(path),
      needed(lock, path, dependencies).map(refOf),
    ]),
  );
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: serialOf(`${own} ${text}`),
    version: 1,
    metadata: {
      timestamp: about.date.toISOString(),
      component: {
        ...{ type: 'application', name: 'pipeops-agent', version: about.version },
        ...{ 'bom-ref': own, purl: own, licenses: [{ license: { id: 'Apache-2.0' } }] },
      },
    },
    components: [bun, ...[...unique.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1))],
    dependencies: [
      { ref: own, dependsOn: [bun['bom-ref'], ...direct].sort() },
      ...[...edges].map(([ref, on]) => ({ ref, dependsOn: [...new Set(on)].sort() })),
    ],
  };
}

type LockFile = z.infer<typeof Lock>;
type LockedPackage = z.infer<typeof Package>;

/** By their paths in the lock: `a`, or `a/b` for the b that only a has. */
function closure(lock: LockFile): ReadonlyMap<string, LockedPackage> {
  const found = new Map<string, LockedPackage>();
  const waiting = [...Object.keys(lock.workspaces[''].dependencies)];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const locked = lock.packages[path];
    if (locked !== undefined && !found.has(path)) {
      found.set(path, locked);
      waiting.push(...needed(lock, path, locked.dependencies));
    }
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function needed(
  lock: LockFile,
  path: string,
  dependencies: Readonly<Record<string, string>>,
): readonly string[] {
  return Object.keys(dependencies)
    .filter((name) => !name.startsWith('@types/'))
    .map((name) => (lock.packages[`${path}/${name}`] === undefined ? name : `${path}/${name}`))
    .filter((each) => lock.packages[each] !== undefined);
}

function component(
  path: string,
  id: string,
  integrity: string | undefined,
  license: string | undefined,
) {
  const at = id.lastIndexOf('@');
  const [group, name] = splitName(id.slice(0, at));
  const purl = purlOf(id);
  const hash =
    integrity === undefined
      ? ''
      : Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex');
  return {
    ...{ type: 'library', 'bom-ref': purl, ...(group === undefined ? {} : { group }) },
    ...{ name: name === '' ? path : name, version: id.slice(at + 1), purl },
    ...(hash === '' ? {} : { hashes: [{ alg: 'SHA-512', content: hash }] }),
    ...(license === undefined ? {} : { licenses: [licenseEntry(license)] }),
  };
}

function licenseEntry(license: string) {
  return / (OR|AND|WITH) /.test(license) ? { expression: license } : { license: { id: license } };
}

function splitName(full: string): readonly [group: string | undefined, name: string] {
  const slash = full.indexOf('/');
  return slash < 0 ? [undefined, full] : [full.slice(0, slash), full.slice(slash + 1)];
}

/** github.com/package-url/purl-spec: the "@" of a scope is encoded. */
function purlOf(id: string): string {
  return `pkg:npm/${id.replace(/^@/, '%40')}`;
}

/** @param path `a`, or `a/b` for a b that stands in the directory of a; each may have a scope: `@x/a` */
async function licenseOf(root: string, path: string): Promise<string | undefined> {
  const names = path.match(/(?:@[^/]+\/)?[^/]+/g) ?? [];
  const directory = names.map((name) => join('node_modules', name));
  const file = Bun.file(join(root, ...directory, 'package.json'));
  return (await file.exists()) ? PackageFile.parse(await file.json()).license : undefined;
}

async function bunComponent(root: string) {
  const { engines } = z
    .looseObject({ engines: z.object({ bun: z.string() }) })
    .parse(await Bun.file(join(root, 'package.json')).json());
  const purl = `pkg:github/oven-sh/bun@bun-v${engines.bun}`;
  return {
    ...{ type: 'platform', 'bom-ref': purl, name: 'bun', version: engines.bun, purl },
    licenses: [{ license: { id: 'MIT' } }],
  };
}

/** The same content has the same number (RFC 9562 section 5.8). */
function serialOf(text: string): string {
  const hex = new Bun.CryptoHasher('sha256').update(text).digest('hex');
  const groups = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
  ];
  return `urn:uuid:${[...groups, hex.slice(20, 32)].join('-')}`;
}
