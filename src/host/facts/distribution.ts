import type { Fact } from './fact.ts';

export interface Distribution {
  /** `debian`, `rhel`, …; empty where the system does not say (os-release(5)). */
  readonly id: string;
  /** Those that it is made of, the nearest first. */
  readonly like: readonly string[];
  /** `12`, `22.04`; empty where there are no versions. */
  readonly version: string;
  /** For a person: `Debian GNU/Linux 12 (bookworm)`. */
  readonly name: string;
}

const PLACES = ['/etc/os-release', '/usr/lib/os-release'];

export const distribution: Fact<Distribution> = {
  id: 'distribution',
  read: async ({ files }) => {
    let text: string | undefined;
    for (const path of PLACES) {
      text ??= await files.readText(path);
    }
    const values = new Map(
      (text ?? '').split('\n').flatMap((line) => {
        const [, name, value] = /^([A-Z_]+)=(.*)$/.exec(line.trim()) ?? [];
        return name === undefined ? [] : [[name, unquoted(value ?? '')] as const];
      }),
    );
    const value = (name: string) => values.get(name) ?? '';
    return {
      id: value('ID').toLowerCase(),
      like: value('ID_LIKE').toLowerCase().split(/\s+/).filter(Boolean),
      version: value('VERSION_ID'),
      name: value('PRETTY_NAME') || value('NAME'),
    };
  },
};

function unquoted(text: string): string {
  return /^(["'])(.*)\1$/.exec(text)?.[2] ?? text;
}
