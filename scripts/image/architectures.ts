/** The processors that images are made for, with the name that each tool has for them. */

export const ARCHITECTURES = [
  { target: 'linux-x64', oci: 'amd64', debian: 'amd64', bun: 'bun-linux-x64-baseline' },
  { target: 'linux-arm64', oci: 'arm64', debian: 'arm64', bun: 'bun-linux-arm64' },
] as const;

export type Architecture = (typeof ARCHITECTURES)[number];

export const TARGETS: readonly string[] = ARCHITECTURES.map(({ target }) => target);

export function isTarget(name: string): boolean {
  return TARGETS.includes(name);
}
