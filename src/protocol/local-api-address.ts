/** Where a route of the local API is asked. It knows no schema, so that the page can use it. */

/** Values of path and query. What is undefined is left out. */
export type GivenParams = Readonly<Record<string, string | number | boolean | undefined>>;

interface Address {
  readonly method: 'GET' | 'POST';
  /** With its query: `/api/k8s/pods?limit=50`. */
  readonly target: string;
}

/** @param name method and path of a route: `GET /api/commands/{id}` */
export function addressOf(name: string, given: GivenParams = {}): Address {
  const [method, path = ''] = name.split(' ');
  const inPath = new Set<string>();
  const target = path.replaceAll(/\{(\w+)\}/g, (_, part: string) => {
    inPath.add(part);
    return encodeURIComponent(String(given[part] ?? ''));
  });
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(given)) {
    if (value !== undefined && !inPath.has(key)) {
      query.set(key, String(value));
    }
  }
  return {
    method: method === 'POST' ? 'POST' : 'GET',
    target: query.size === 0 ? target : `${target}?${query}`,
  };
}
