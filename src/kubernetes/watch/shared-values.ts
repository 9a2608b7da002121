/**
 * Texts and label sets kept, at most; then it starts afresh. What was given out stays valid: it is
 * just not shared with what comes later.
 */
const SHARED_MAX = 20_000;

/**
 * Gives one value for all that are equal. In a list of pods the same few namespaces, node names and
 * label sets come again and again; each parsed object brings its own copy of them.
 */
export interface SharedValues {
  text(value: string): string;
  labels(value: Readonly<Record<string, string>>): Record<string, string>;
}

export function sharedValues(): SharedValues {
  const texts = new Map<string, string>();
  const labelSets = new Map<string, Record<string, string>>();
  const text = (value: string) => shared(texts, value, () => value);
  return {
    text,
    labels: (value) =>
      shared(labelSets, JSON.stringify(value), () => {
        const copy: Record<string, string> = {};
        for (const [name, each] of Object.entries(value)) {
          copy[name] = text(each);
        }
        return copy;
      }),
  };
}

function shared<T>(known: Map<string, T>, key: string, make: () => T): T {
  const before = known.get(key);
  if (before !== undefined) {
    return before;
  }
  if (known.size >= SHARED_MAX) {
    known.clear();
  }
  const made = make();
  known.set(key, made);
  return made;
}
