/** Mirrors of registries, as people name them: `docker.io=https://mirror.example:5000`. */
import * as z from 'zod';

const HOST = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:\d{1,5})?$/;
/** What Docker's own option of that name means. */
const DEFAULT_REGISTRY = 'docker.io';

export interface RegistryMirror {
  /** `docker.io`, `registry.example:5000`, or `*` for all that have no mirror of their own. */
  readonly registry: string;
  /** https:// or http://, without a slash at the end. */
  readonly endpoint: string;
}

/** @returns undefined where the text names none */
export function parseRegistryMirror(text: string): RegistryMirror | undefined {
  const [, registry = DEFAULT_REGISTRY, place = ''] = /^(?:([^=/]+)=)?(.+)$/.exec(text) ?? [];
  const url = URL.parse(place.includes('://') ? place : `https://${place}`);
  // A name alone is a registry whose mirror was forgotten, or a mistake in writing.
  const isNamed = place.includes('://') || /[.:]/.test(place);
  const isRegistry = registry === '*' || HOST.test(registry);
  const isPlace = HOST.test(url?.host ?? '') || /^\[[0-9a-f:]+\](:\d+)?$/.test(url?.host ?? '');
  if (
    url === null ||
    !isRegistry ||
    !isNamed ||
    !isPlace ||
    url.host === DEFAULT_REGISTRY ||
    !/^https?:$/.test(url.protocol) ||
    `${url.username}${url.password}` !== '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    return undefined;
  }
  const path = url.pathname === '/' ? '' : url.pathname;
  return { registry, endpoint: `${url.protocol}//${url.host}${path}` };
}

export const RegistryMirrors = z.array(z.string()).superRefine((mirrors, context) => {
  for (const mirror of mirrors) {
    if (parseRegistryMirror(mirror) === undefined) {
      // Not repeated: it may hold a password.
      context.addIssue(
        'must be mirrors such as docker.io=https://mirror.example:5000, without user and password',
      );
    }
  }
});
