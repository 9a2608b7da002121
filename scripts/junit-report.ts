/** What a JUnit report of `bun test` tells. */

export interface JunitReport {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** `file: name` of each that failed. */
  readonly failures: readonly string[];
}

/** @param xml empty when the tests ended before they could report */
export function readJunitReport(xml: string): JunitReport {
  const head = /<testsuites [^>]*>/.exec(xml)?.[0] ?? '';
  const number = (name: string) => Number(attribute(head, name) ?? 0);
  const [failed, skipped] = [number('failures'), number('skipped')];
  // Attributes hold no ">" of their own: it is written as an entity.
  const failures = Array.from(
    xml.matchAll(/<testcase ([^>]*[^/])>\s*<failure/g),
    ([, tag = '']) => {
      const [group, name] = [attribute(tag, 'classname'), attribute(tag, 'name')];
      return `${attribute(tag, 'file')}: ${group ? `${group}: ` : ''}${name}`;
    },
  );
  return { passed: number('tests') - failed - skipped, failed, skipped, failures };
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
  '&amp;': '&',
};

function attribute(tag: string, name: string): string | undefined {
  const value = tag.match(new RegExp(`(?:^| )${name}="([^"]*)"`))?.[1];
  return value?.replace(/&[a-z]+;/g, (entity) => ENTITIES[entity] ?? entity);
}
