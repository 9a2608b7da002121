/** Network links, namespaces and routes of pods. */
import { AgentError } from '../../core/errors.ts';
import type { Exec, Files } from '../../core/ports.ts';

const TIMEOUT_MS = 30_000;
/** The bridge of pods, the ways to other nodes, and what kube-proxy binds addresses to. */
const OWN_LINK = /^(cni0|flannel[.-].*|kube-ipvs0)$/;
const BRIDGE = 'cni0';
const NAMESPACES = '/run/netns';
/** What containerd calls those of pods. */
const OWN_NAMESPACE = /^cni-/;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

/**
 * @param podNetworks in CIDR form: routes to other nodes' part of them are k3s'
 * @throws AgentError TOOL_MISSING, TOOL_FAILED
 */
export async function removeLinks(deps: Deps, podNetworks: readonly string[]): Promise<void> {
  const { files } = deps;
  for (const name of (await files.list(NAMESPACES)).filter((each) => OWN_NAMESPACE.test(each))) {
    await ip(deps, ['netns', 'delete', name], async () =>
      (await files.list(NAMESPACES)).includes(name),
    );
  }
  const isThere = async (name: string) => (await files.list('/sys/class/net')).includes(name);
  for (const name of await files.list('/sys/class/net')) {
    const master = (await files.readLink(`/sys/class/net/${name}/master`)) ?? '';
    if (OWN_LINK.test(name) || master.endsWith(`/${BRIDGE}`)) {
      await ip(deps, ['link', 'delete', name], () => isThere(name));
    }
  }
  await removeRoutes(deps, podNetworks);
}

/** Links take their routes along; those of the backend host-gw lead to other nodes through one that stays. */
async function removeRoutes(deps: Deps, podNetworks: readonly string[]): Promise<void> {
  if ((await deps.files.stat('/proc/net/route')) === undefined) {
    return;
  }
  for (const network of podNetworks) {
    const family = network.includes(':') ? '-6' : '-4';
    const list = () =>
      deps.exec.run(['ip', family, 'route', 'show', 'root', network], { timeoutMs: TIMEOUT_MS });
    for (const line of (await list()).stdout.split('\n').filter(isToNode)) {
      const route = line.trim();
      const [to = '', via = '', gateway = '', dev = '', link = ''] = route.split(/\s+/);
      await ip(deps, [family, 'route', 'delete', to, via, gateway, dev, link], async () =>
        (await list()).stdout.split('\n').some((each) => each.trim() === route),
      );
    }
  }
}

/** Part of the pods' network behind a gateway, and of no program that manages routes by itself. */
function isToNode(line: string): boolean {
  const isOfOthers = / proto (kernel|dhcp|ra|static|bgp|ospf|isis|zebra|bird|babel)\b/.test(line);
  return /^[0-9a-f.:]+\/\d+ via \S+ dev \S+/.test(line) && !isOfOthers;
}

/** One that went by itself meanwhile, as links do with their namespace, is no failure. */
async function ip(
  { exec }: Deps,
  args: readonly string[],
  isThere: () => Promise<boolean>,
): Promise<void> {
  const { exitCode, stderr } = await exec.run(['ip', ...args], { timeoutMs: TIMEOUT_MS });
  if (exitCode !== 0 && (await isThere())) {
    throw new AgentError('TOOL_FAILED', `ip ${args.join(' ')} failed: ${stderr}`, {
      hint: 'Correct what it names, then run the same command again',
    });
  }
}
