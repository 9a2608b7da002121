import { K3S_REGISTRIES_FILE } from '../../core/k3s-places.ts';
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

/** Where images come from: the mirrors that are configured, or Docker Hub. */
export const registriesReached: Fact<readonly Reached[]> = {
  id: 'registries-reached',
  read: async (deps) => {
    const registries = readRegistries((await deps.files.readText(K3S_REGISTRIES_FILE)) ?? '');
    const mirrors = mirrorUrls(registries);
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
function mirrorUrls({ mirrors }: Registries): readonly URL[] {
  const urls = Object.values(mirrors ?? {}).flatMap((mirror) =>
    [mirror?.endpoint ?? []].flat().flatMap((each) => {
      const text = String(each);
      return URL.parse(text.includes('://') ? text : `https://${text}`) ?? [];
    }),
  );
  return [...new Map(urls.map((url) => [url.href, url])).values()];
}

async function registryCa(
  { files, authorities }: FactDeps,
  { configs }: Registries,
  { host }: URL,
): Promise<string | undefined> {
  const path = (configs?.[host] ?? configs?.['*'])?.tls?.ca_file;
  const own = typeof path === 'string' ? await files.readText(path) : undefined;
  return own === undefined ? undefined : [...(await authorities()), own].join('\n');
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
