import type { Route } from './route.ts';

export type Found =
  | {
      readonly kind: 'route';
      readonly route: Route;
      /** Parts of the path, by their names; not decoded where that is impossible. */
      readonly parts: Readonly<Record<string, string>>;
    }
  /** There is something at the path, but not for this method. */
  | { readonly kind: 'other-method'; readonly allow: readonly string[] }
  | { readonly kind: 'nothing' };

/** @param path without query */
export function findRoute(routes: readonly Route[], method: string, path: string): Found {
  const wanted = method === 'HEAD' ? 'GET' : method;
  const allow: string[] = [];
  for (const route of routes) {
    const parts = partsOf(route.path, path);
    if (parts !== undefined && route.method === wanted) {
      return { kind: 'route', route, parts };
    }
    if (parts !== undefined) {
      allow.push(...allowedBy(route));
    }
  }
  return allow.length > 0 ? { kind: 'other-method', allow } : { kind: 'nothing' };
}

function allowedBy({ method }: Route): readonly string[] {
  return method === 'GET' ? ['GET', 'HEAD'] : [method];
}

/** Undefined where the path is another one. */
function partsOf(pattern: string, path: string): Readonly<Record<string, string>> | undefined {
  const names = pattern.split('/');
  const given = path.split('/');
  if (names.length !== given.length) {
    return undefined;
  }
  const parts: Record<string, string> = {};
  for (const [index, name] of names.entries()) {
    const text = given[index] ?? '';
    if (name.startsWith('{')) {
      parts[name.slice(1, -1)] = decoded(text);
    } else if (name !== text) {
      return undefined;
    }
  }
  return parts;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
