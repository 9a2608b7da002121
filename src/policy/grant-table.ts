import type { AccessRequest } from './decision.ts';
import type { Grant } from './grants.ts';
import { isNeverGranted } from './never.ts';

interface Granted {
  readonly verbs: ReadonlySet<string>;
  readonly cluster: boolean;
}

export interface GrantTable {
  /** What allows it, before namespaces are looked at; undefined when nothing does. */
  find(request: AccessRequest): { readonly cluster: boolean } | undefined;
}

/**
 * Grants by what they are for: a question costs one look-up, and two more if there are wildcards.
 */
export function grantTable(grants: readonly Grant[]): GrantTable {
  const table = new Map<string, Granted>();
  for (const { group, resources, verbs, cluster = false } of grants) {
    for (const resource of resources) {
      const key = `${group}/${resource}`;
      table.set(key, {
        verbs: new Set([...(table.get(key)?.verbs ?? []), ...verbs]),
        // Where two grants disagree, namespaces are looked at.
        cluster: cluster && (table.get(key)?.cluster ?? true),
      });
    }
  }
  const hasWildcards = grants.some(({ resources }) =>
    resources.some((each) => each.startsWith('*')),
  );
  return {
    find: ({ verb, group, resource, subresource }) => {
      const name = subresource === '' ? resource : `${resource}/${subresource}`;
      const exact = table.get(`${group}/${name}`);
      if (!hasWildcards) {
        return exact?.verbs.has(verb) === true ? exact : undefined;
      }
      const wide = isNeverGranted(group, name)
        ? []
        : [
            table.get(`${group}/*`),
            subresource === '' ? undefined : table.get(`${group}/*/${subresource}`),
          ];
      const found = [exact, ...wide].filter((each) => each?.verbs.has(verb) === true);
      return found.length === 0
        ? undefined
        : { cluster: found.every((each) => each?.cluster === true) };
    },
  };
}
