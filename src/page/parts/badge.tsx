import type { ComponentChildren } from 'preact';

export type Tone = 'good' | 'warn' | 'bad' | 'idle';

/** A word with a colour; the colour never says more than the word. */
export function Badge({
  tone,
  children,
}: {
  readonly tone: Tone;
  readonly children: ComponentChildren;
}) {
  return <span class={`badge ${tone}`}>{children}</span>;
}
