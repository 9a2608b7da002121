/** Longest name in a log line, characters: Kubernetes itself ends at 253. */
const NAME_LENGTH_MAX = 253;

/**
 * What a command is about, for the log: `<namespace>/<name>`, a node, or as much of that as there
 * is.
 * @param payload unchecked: a command may fail because its payload is wrong
 * @returns undefined when it names nothing
 */
export function targetOf(payload: unknown): string | undefined {
  const fields: Readonly<Record<string, unknown>> = { ...Object(payload) };
  const text = (name: string): readonly string[] => {
    const value = fields[name];
    return typeof value === 'string' && value !== '' ? [value.slice(0, NAME_LENGTH_MAX)] : [];
  };
  const [name] = [...text('name'), ...text('pod'), ...text('node')];
  const parts = [...text('namespace'), ...(name === undefined ? [] : [name])];
  return parts.length === 0 ? undefined : parts.join('/');
}
