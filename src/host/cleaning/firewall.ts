/**
 * The rules of Kubernetes in the firewall of a machine that has others: Docker's, ufw's, a person's.
 * Only chains of ours are deleted, by their names, and the rules that lead to them. Nothing is saved as
 * a whole and put back, where a rule that somebody makes meanwhile would be lost.
 */
import { AgentError } from '../../core/errors.ts';
import { K3S_BUNDLED_TOOLS_DIRECTORY } from '../../core/k3s-places.ts';
import type { Exec, Files } from '../../core/ports.ts';

/** Of kube-proxy and the network policies of k3s, of the CNI plugins, and of flannel. */
const OWN_CHAIN = /^(KUBE|CNI|FLANNEL)-/;
/** Rules of an older flannel, which had no chains of its own. */
const OWN_COMMENT = /--comment "?flanneld\b/;
/** Tables of nftables that are theirs as a whole. */
const OWN_TABLES: readonly string[] = [
  ...['ip kube-proxy', 'ip6 kube-proxy'],
  ...['ip flannel-ipv4', 'ip6 flannel-ipv6'],
];
const FAMILIES = ['iptables', 'ip6tables'] as const;
/** What they write into: whichever k3s has chosen, and people may have both. */
const BACKENDS = ['', '-nft', '-legacy'] as const;
/** A Service has several chains, a cluster thousands of Services. */
const TIMEOUT_MS = 120_000;
/** Another program may hold the lock, seconds. */
const LOCK_WAIT_SECONDS = '10';
/** A rule that was read may be gone when it is deleted: then all are read again. */
const TRIES_MAX = 3;
/** Characters of what the program said. */
const SAID_LENGTH_MAX = 500;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

/** @throws AgentError TOOL_FAILED where rules of ours cannot be deleted */
export async function removeOwnRules(deps: Deps): Promise<void> {
  await removeOwnTables(deps);
  for (const family of FAMILIES) {
    for (const backend of BACKENDS) {
      await removeOwnChains(deps, `${family}${backend}`);
    }
  }
}

async function removeOwnTables(deps: Deps): Promise<void> {
  const tables = await output(deps, ['nft', 'list', 'tables']);
  for (const table of OWN_TABLES) {
    if (tables?.split('\n').includes(`table ${table}`) === true) {
      const [kind = '', name = ''] = table.split(' ');
      await deps.exec.run(['nft', 'delete', 'table', kind, name], { timeoutMs: TIMEOUT_MS });
    }
  }
}

async function removeOwnChains(deps: Deps, tool: string): Promise<void> {
  let said = '';
  for (let tries = 0; tries <= TRIES_MAX; tries += 1) {
    const found = await findTool(deps, tool);
    const deletions = found === undefined ? '' : deletionsOf(found.rules);
    if (found === undefined || deletions === '') {
      return;
    }
    if (tries < TRIES_MAX) {
      // In one step for each table, beside whatever others do; what is not named stays.
      const argv = [`${found.path}-restore`, '--noflush', '--wait', LOCK_WAIT_SECONDS] as const;
      said = (await deps.exec.run(argv, { timeoutMs: TIMEOUT_MS, stdin: deletions })).stderr;
    }
  }
  throw new AgentError(
    'TOOL_FAILED',
    `${tool} does not delete the rules of Kubernetes: ${said.slice(0, SAID_LENGTH_MAX)}`,
    { hint: 'Correct what it names, then run the same command again' },
  );
}

interface FoundTool {
  readonly path: string;
  /** All that it knows, as `iptables-save` prints it: it makes no table by looking. */
  readonly rules: string;
}

/** The system's, or else the one that k3s has brought; undefined where there is neither. */
async function findTool(deps: Deps, tool: string): Promise<FoundTool | undefined> {
  for (const path of [tool, `${K3S_BUNDLED_TOOLS_DIRECTORY}/${tool}`]) {
    const rules = await output(deps, [`${path}-save`]);
    if (rules !== undefined) {
      return { path, rules };
    }
  }
  return undefined;
}

/** Undefined where the program is not there or cannot say: a kernel may have no such rules at all. */
async function output(
  { exec }: Deps,
  argv: readonly [string, ...string[]],
): Promise<string | undefined> {
  try {
    const { exitCode, stdout } = await exec.run(argv, { timeoutMs: TIMEOUT_MS });
    return exitCode === 0 ? stdout : undefined;
  } catch (thrown) {
    if (thrown instanceof AgentError && thrown.code === 'TOOL_MISSING') {
      return undefined;
    }
    throw thrown;
  }
}

/**
 * What `iptables-restore --noflush` takes to delete ours: first the rules of others' chains that lead to
 * them, then what is in ours, since they lead to each other, then the chains.
 * @param saved what `iptables-save` printed
 * @returns empty where there is nothing of ours
 */
function deletionsOf(saved: string): string {
  let text = '';
  for (const table of saved.split(/^(?=\*)/m)) {
    const lines = table.split('\n');
    const name = /^\*(\S+)/.exec(lines[0] ?? '')?.[1];
    const chains = lines.flatMap((line) => {
      const chain = /^:(\S+)/.exec(line)?.[1] ?? '';
      return OWN_CHAIN.test(chain) ? [chain] : [];
    });
    const rules = lines.filter((line) => isLeading(line)).map((line) => line.replace(/^-A/, '-D'));
    if (name !== undefined && chains.length + rules.length > 0) {
      const changes = [
        ...rules,
        ...chains.map((chain) => `-F ${chain}`),
        ...chains.map((chain) => `-X ${chain}`),
      ];
      text += `*${name}\n${changes.join('\n')}\nCOMMIT\n`;
    }
  }
  return text;
}

/** A rule in a chain of others that is ours all the same. */
function isLeading(line: string): boolean {
  const [, chain = ''] = /^-A (\S+) /.exec(line) ?? [];
  const target = / -[jg] (\S+)/.exec(withoutComments(line))?.[1] ?? '';
  return (
    chain !== '' && !OWN_CHAIN.test(chain) && (OWN_CHAIN.test(target) || OWN_COMMENT.test(line))
  );
}

/** A person's comment may say anything, "-j KUBE-…" too. */
function withoutComments(line: string): string {
  return line.replace(/--comment ("(?:[^"\\]|\\.)*"|\S+)/g, '');
}
