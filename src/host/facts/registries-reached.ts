import { parseRegistryMirror } from '../../config/registry-mirrors.ts';
import { K3S_REGISTRIES_FILE } from '../../core/k3s-places.ts';
import { ownCa } from './control-plane-reached.ts';
import type { Fact, FactDeps } from './fact.ts';
import { type Reached, reach } from './reached.ts';

/** Where images without a registry in their name come from; k3s' own are such. */
const DEFAULT_REGISTRY = 'https://registry-1.docker.io';
/** Mirrors that are asked. */
const REGISTRIES_MAX = 8;

/** In YAML a name with nothing behind it is null. */
interface Registries {
  readonly mirrors?: Readonly<Record<string, { readonly endpoint?: unknown } | null>> | null;
  readonly configs?: Readonly<
    Record<string, { readonly tls?: { readonly ca_file?: unknown } | null } | null>
  > | null;
}

/** Where images come from: the mirrors that are configured, or will be by the settings; else Docker Hub. */
export const registriesReached: Fact<readonly Reached[]> = {
  id: 'registries-reached',
  read: async (deps) => {
    const registries = readRegistries((await deps.files.readText(K3S_REGISTRIES_FILE)) ?? '');
    const mirrors = mirrorUrls(registries, deps.subject.config.k3s.registry_mirrors);
    const urls = mirrors.length === 0 ? [new URL(DEFAULT_REGISTRY)] : mirrors;
    return Promise.all(
      urls.slice(0, REGISTRIES_MAX).map(async (mirror) =>
        reach(deps, {
          name: 'the registry of images',
          // A mirror with a path of its own has it complete (docs.k3s.io).
          url: mirror.pathname === '/' ? new URL('/v2/', mirror) : mirror,
          ca: await registryCa(deps, registries, mirror),
          ask: 'answer',
        }),
      ),
    );
  },
};

/** Each once: a mirror may stand for many registries. Without a scheme it is spoken to by HTTPS. */
function mirrorUrls({ mirrors }: Registries, wanted: readonly string[]): readonly URL[] {
  const urls = [
    ...wanted.flatMap((text) => parseRegistryMirror(text)?.endpoint ?? []),
    ...Object.values(mirrors ?? {}).flatMap((mirror) => [mirror?.endpoint ?? []].flat()),
  ].flatMap((each) => {
    const text = String(each);
    return URL.parse(text.includes('://') ? text : `https://${text}`) ?? [];
  });
  return [...new Map(urls.map((url) => [url.href, url])).values()];
}

/** The authority of its entry; for one that has none yet, that of --ca-file. */
async function registryCa(
  deps: FactDeps,
  { configs }: Registries,
  { host }: URL,
): Promise<string | undefined> {
  const path = (configs?.[host] ?? configs?.['*'])?.tls?.ca_file;
  const own = typeof path === 'string' ? await deps.files.readText(path) : await ownCa(deps);
  return own === undefined ? undefined : [...(await deps.authorities()), own].join('\n');
}

/** What k3s could not read it ignores as well. */
function readRegistries(text: string): Registries {
  try {
    const content: unknown = Bun.YAML.parse(text);
    return typeof content === 'object' && content !== null ? content : {};
  } catch {
    return {};
  }
}
