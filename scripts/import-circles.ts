/** What each imports, by name: files, or the rooms that they stand in. */
export type Imports = ReadonlyMap<string, ReadonlySet<string>>;

/** Every circle, as the way from its first name back to it: `a.ts`, `b.ts`, `a.ts`. */
export function importCircles(imports: Imports): readonly (readonly string[])[] {
  return [...imports.keys()].sort().flatMap((name) => {
    const way = wayBack(imports, name);
    // Told once, of the name that comes first.
    return way === undefined || way.some((each) => each < name) ? [] : [[name, ...way]];
  });
}

/** The shortest way from a name over its imports back to it. */
function wayBack(imports: Imports, name: string): readonly string[] | undefined {
  const seen = new Set<string>();
  let ways: readonly (readonly string[])[] = [...(imports.get(name) ?? [])].map((next) => [next]);
  while (ways.length > 0) {
    const closed = ways.find((way) => way.at(-1) === name);
    if (closed !== undefined) {
      return closed;
    }
    ways = ways.flatMap((way) => {
      const last = way.at(-1) ?? name;
      if (seen.has(last)) {
        return [];
      }
      seen.add(last);
      return [...(imports.get(last) ?? [])].map((next) => [...way, next]);
    });
  }
  return undefined;
}
