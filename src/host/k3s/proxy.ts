import { type K3sRole, k3sUnitFile } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { credentialsOf, parseProxy, proxyAddress } from '../../core/proxy-settings.ts';
import { changeOf } from '../engine/removals.ts';
import { LEAVES_NOTHING, type Resource } from '../engine/resource.ts';
import { type NetworkSettings, networkFlags } from './networks.ts';
import { isSameNoProxy, noProxyList } from './no-proxy.ts';
import { askK3sRestart } from './restart.ts';
import { readToldK3s } from './told.ts';

/** What k3s hands on to containerd alone, without the prefix (docs.k3s.io, "Configuring an HTTP proxy"). */
const CONTAINERD = 'CONTAINERD_';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** How k3s gets out, where a proxy was named. */
export interface K3sProxy {
  /** containerd: what pulls images; all: every process of k3s; none: nothing of it. */
  readonly scope: 'containerd' | 'all' | 'none';
  /**
   * For addresses of https: `http://`, `https://` or `socks5://…`, with user and password where they are
   * known; empty where only one for http was named.
   */
  readonly https: string;
  /** For addresses of http. */
  readonly http: string;
  /** What a person wants to be reached without it, comma-separated. */
  readonly noProxy: string;
  readonly nodeAddresses: readonly string[];
  /** Of a worker, whose k3s is told none: those of its servers. */
  readonly networks: NetworkSettings;
}

/** What programs of an installation are told, by the usual names. */
export function proxyVariables(proxy: K3sProxy | undefined): Readonly<Record<string, string>> {
  return proxy === undefined
    ? {}
    : withoutEmpty({
        HTTP_PROXY: proxy.http,
        HTTPS_PROXY: proxy.https,
        NO_PROXY: proxy.noProxy,
      });
}

/**
 * Writes the proxy into the file that k3s' unit reads its environment from, which only root may read.
 * k3s' installer puts there what it was told itself, for all of k3s: the API server would then ask the
 * proxy for webhooks, and the kubelet for its probes.
 */
export function k3sProxy(deps: Deps, role: K3sRole, proxy: K3sProxy): Resource {
  const path = `${k3sUnitFile(role)}.env`;
  const isDone = async () => {
    const text = await deps.files.readText(path);
    return text === undefined || isWritten(text, await wantedVariables(deps, proxy, text), proxy);
  };
  return {
    id: 'k3s-proxy',
    title: 'Tell k3s its proxy',
    touches: [path],
    ...LEAVES_NOTHING, // k3s' own uninstaller knows the file.
    isWanted: true,
    isDone,
    changes: async () => {
      const isThere = (await deps.files.stat(path)) !== undefined;
      const text = await textOf(deps, proxy, (await deps.files.readText(path)) ?? '');
      return [await changeOf(deps, path, isThere && (await isDone()), text)];
    },
    apply: async () => {
      const text = (await deps.files.readText(path)) ?? '';
      await askK3sRestart(deps, role);
      await deps.files.writeAtomic(path, await textOf(deps, proxy, text), { mode: 0o600 });
    },
  };
}

/** @param text what the file has now, of which all stays that is not about a proxy */
async function textOf(deps: Deps, proxy: K3sProxy, text: string): Promise<string> {
  const wanted = Object.entries(await wantedVariables(deps, proxy, text));
  const kept = text.split('\n').filter((line) => line !== '' && !isOfProxy(line));
  const added = wanted.map(([name, value]) => `${name}="${value.replace(/["\\`$]/g, '\\$&')}"`);
  return `${[...kept, ...added].join('\n')}\n`;
}

async function wantedVariables(
  deps: Deps,
  proxy: K3sProxy,
  text: string,
): Promise<Readonly<Record<string, string>>> {
  if (proxy.scope === 'none') {
    return {};
  }
  const prefix = proxy.scope === 'all' ? '' : CONTAINERD;
  const told = (await readToldK3s(deps))?.settings ?? {};
  const k3s = { ...networkFlags(proxy.networks), ...told };
  return withoutEmpty({
    [`${prefix}HTTP_PROXY`]: withKnownLogin(proxy.http, text, 'HTTP_PROXY'),
    [`${prefix}HTTPS_PROXY`]: withKnownLogin(proxy.https, text, 'HTTPS_PROXY'),
    [`${prefix}NO_PROXY`]: noProxyList({
      nodeAddresses: proxy.nodeAddresses,
      k3s,
      given: proxy.noProxy,
    }).join(','),
  });
}

function withoutEmpty(variables: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
}

/** A proxy that the settings name comes without its password, which an earlier run was given. */
function withKnownLogin(address: string, text: string, name: string): string {
  const wanted = parseProxy(address, '');
  if (wanted === undefined || wanted.credentials !== undefined) {
    return address;
  }
  const written = [`${CONTAINERD}${name}`, name]
    .map((each) => valueIn(text, each) ?? '')
    .find((each) => credentialsOf(each) !== '');
  const known = parseProxy(written ?? '', '');
  const isSame = known?.host === wanted.host && known.port === wanted.port;
  return isSame ? proxyAddress({ ...wanted, ...known }) : address;
}

function isWritten(
  text: string,
  wanted: Readonly<Record<string, string>>,
  proxy: K3sProxy,
): boolean {
  const names = Object.keys(wanted);
  const isEach = names.every((name) => {
    const value = valueIn(text, name);
    return name.endsWith('NO_PROXY')
      ? isSameNoProxy(value ?? '', wanted[name]?.split(',') ?? [], proxy.noProxy)
      : value === wanted[name];
  });
  const written = text.split('\n').filter(isOfProxy);
  return isEach && written.length === names.length;
}

function isOfProxy(line: string): boolean {
  return /^(CONTAINERD_)?(HTTPS?|NO)_PROXY=/i.test(line);
}

/** As systemd reads it (systemd.exec(5), EnvironmentFile=). */
function valueIn(text: string, name: string): string | undefined {
  const raw = text.match(new RegExp(`^${name}=(.*)$`, 'im'))?.[1];
  if (raw?.startsWith("'")) {
    return raw.slice(1, -1).replaceAll("'\\''", "'");
  }
  return raw?.startsWith('"') ? raw.slice(1, -1).replace(/\\(.)/g, '$1') : raw;
}
