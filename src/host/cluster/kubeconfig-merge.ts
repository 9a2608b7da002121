import { AgentError } from '../../core/errors.ts';
import { KUBECONFIG_TYPE } from '../../core/kinds.ts';
import { placeOfNumber } from '../../core/text/unquoted-number.ts';

/** What one cluster adds to a kubeconfig; all three have the same name. */
export interface KubeconfigEntries {
  readonly name: string;
  readonly cluster: Readonly<Record<string, unknown>>;
  readonly user: Readonly<Record<string, unknown>>;
}

export interface KubeconfigMerge {
  readonly text: string;
  readonly currentContext: string | undefined;
  readonly losesComments: boolean;
}

type Document = Readonly<Record<string, unknown>>;
type Entry = Readonly<Record<string, unknown>>;

const SECTIONS = ['clusters', 'users', 'contexts'] as const;

/**
 * The text of a kubeconfig with these entries added. Where possible only lines are added, and everything
 * else stays as it is, including comments. Otherwise the whole file is written anew.
 * @param path for messages
 * @throws AgentError FILE_ACCESS
 */
export function mergeKubeconfig(
  text: string,
  entries: KubeconfigEntries,
  makeCurrent: boolean,
  path: string,
): KubeconfigMerge {
  const before = parse(text, path);
  const current = String(before['current-context'] ?? '');
  const wanted = makeCurrent || current === '' ? entries.name : current;
  const added = entriesBySection(entries);
  refuseForeign(before, entries, path);
  const after: Document = {
    ...KUBECONFIG_TYPE,
    ...before,
    ...Object.fromEntries(
      SECTIONS.map((section) => [
        section,
        [...listOf(before, section).filter(({ name }) => name !== entries.name), added[section]],
      ]),
    ),
    'current-context': wanted,
  };
  if (Bun.deepEquals(sorted(before), sorted(after))) {
    return { text, currentContext: wanted, losesComments: false };
  }
  const edited = editText(text, added, wanted === current ? undefined : wanted);
  if (edited !== undefined && isSame(edited, after)) {
    return { text: edited, currentContext: wanted, losesComments: false };
  }
  const written = `${Bun.YAML.stringify(after, null, 2)}\n`;
  // Of logins, which are all texts: the comparison is one of numbers.
  if (!isSame(written, after) || placeOfNumber(before['users']) !== undefined) {
    throw new AgentError(
      'FILE_ACCESS',
      `Cannot merge into ${path} without losing something of it`,
      {
        hint: 'Write a file of its own: --output FILE',
      },
    );
  }
  return { text: written, currentContext: wanted, losesComments: /(^|\s)#/m.test(text) };
}

function entriesBySection({ name, cluster, user }: KubeconfigEntries) {
  return {
    clusters: { name, cluster },
    users: { name, user },
    contexts: { name, context: { cluster: name, user: name } },
  } as const;
}

function parse(text: string, path: string): Document {
  let parsed: unknown;
  try {
    parsed = Bun.YAML.parse(text) ?? {};
  } catch {
    throw notKubeconfig(path, 'it is no YAML');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw notKubeconfig(path, 'it holds no sections');
  }
  const document: Document = { ...parsed };
  for (const section of SECTIONS) {
    const value = document[section] ?? [];
    if (!Array.isArray(value) || value.some((each) => typeof each !== 'object' || each === null)) {
      throw notKubeconfig(path, `"${section}" is no list`);
    }
  }
  return document;
}

function notKubeconfig(path: string, why: string): AgentError {
  return new AgentError('FILE_ACCESS', `${path} is not a kubeconfig: ${why}`, {
    hint: 'Correct it, or write a file of its own: --output FILE',
  });
}

function listOf(document: Document, section: string): readonly Entry[] {
  return (document[section] ?? []) as readonly Entry[]; // `parse` has looked.
}

/** Refuses to replace a cluster of the same name that leads to another server. */
function refuseForeign(before: Document, { name, cluster }: KubeconfigEntries, path: string): void {
  const there = listOf(before, 'clusters').find((each) => each['name'] === name)?.['cluster'] as
    | Entry
    | undefined;
  if (there !== undefined && there['server'] !== cluster['server']) {
    throw new AgentError('FILE_ACCESS', `${path} has another cluster "${name}" already`, {
      hint: `Remove or rename that one, or write a file of its own: --output FILE`,
    });
  }
}

/** Puts each entry at the head of its list, as one line of JSON, which is YAML, too. */
function editText(
  text: string,
  added: Readonly<Record<string, Entry>>,
  current: string | undefined,
): string | undefined {
  let lines = text.split('\n');
  for (const [section, entry] of Object.entries(added)) {
    const line = `- ${JSON.stringify(entry)}`;
    // Our entry of an earlier run is such a line.
    const old = `- ${JSON.stringify({ name: entry['name'] }).slice(0, -1)},`;
    const at = lines.findIndex((each) => each.trimEnd() === `${section}:`);
    if (at < 0) {
      return undefined;
    }
    const indent = /^( *)- /.exec(lines[at + 1] ?? '')?.[1] ?? '';
    lines = [
      ...lines.slice(0, at + 1),
      `${indent}${line}`,
      ...lines.slice(at + 1).filter((each) => !each.trimStart().startsWith(old)),
    ];
  }
  if (current === undefined) {
    return lines.join('\n');
  }
  const at = lines.findIndex((each) => each.startsWith('current-context:'));
  const line = `current-context: ${JSON.stringify(current)}`;
  return at < 0 ? [line, ...lines].join('\n') : lines.with(at, line).join('\n');
}

/** For comparing: the order of entries and keys has no meaning. */
function sorted(document: Document): Document {
  const byName = (a: Entry, b: Entry) => String(a['name']).localeCompare(String(b['name']));
  return {
    ...document,
    ...Object.fromEntries(
      SECTIONS.map((section) => [section, listOf(document, section).toSorted(byName)]),
    ),
  };
}

function isSame(text: string, wanted: Document): boolean {
  try {
    const parsed = Bun.YAML.parse(text) as Document | null;
    // `apiVersion` and `kind` may be missing: kubectl does not need them.
    const { apiVersion, kind } = wanted;
    return Bun.deepEquals(sorted({ apiVersion, kind, ...parsed }), sorted(wanted));
  } catch {
    return false;
  }
}
