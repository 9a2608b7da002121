/** How this machine reaches the network, by its settings and the environment. */

import { type Config, k3sMirrors } from '../config/schema.ts';
import { readCaFile } from '../control-plane/credentials/ca-file.ts';
import { AgentError } from '../core/errors.ts';
import type { Http } from '../core/ports.ts';
import {
  credentialsOf,
  type ProxySettings,
  parseProxy,
  proxyAddress,
} from '../core/proxy-settings.ts';
import { networkOrigin } from '../host/k3s/origin.ts';
import type { K3sProxy } from '../host/k3s/proxy.ts';
import { k3sArchitecture } from '../host/k3s/release-places.ts';
import type { K3sPlan } from '../host/k3s/resources.ts';
import type { MachineContext } from './context.ts';

/** `user:password` of HTTPS_PROXY, which is not part of the settings. */
export function proxyPassword({ env }: Pick<MachineContext, 'env'>): string {
  return credentialsOf(env['HTTPS_PROXY'] ?? env['https_proxy'] ?? '');
}

export function proxySettings(context: Pick<MachineContext, 'env'>, config: Config): ProxySettings {
  return {
    url: config.control_plane.proxy ?? '',
    credentials: proxyPassword(context),
    noProxy: config.control_plane.no_proxy ?? '',
  };
}

/** The same way for k3s; undefined where no proxy is named. */
export function k3sProxyPlan(
  context: Pick<MachineContext, 'addresses' | 'env'>,
  config: Config,
): K3sProxy | undefined {
  const { url, credentials, noProxy } = proxySettings(context, config);
  const plain = context.env['HTTP_PROXY'] ?? context.env['http_proxy'] ?? '';
  const https = addressOf(url, credentials);
  const http = addressOf(plain, '');
  if (https === '' && http === '') {
    return undefined;
  }
  return {
    scope: config.k3s.proxy,
    https,
    http: http === '' ? https : http,
    noProxy,
    nodeAddresses: [...new Set([...context.addresses(), ...config.k3s.node_ip])],
    networks: config.k3s,
  };
}

function addressOf(url: string, credentials: string): string {
  const proxy = url === '' ? undefined : parseProxy(url, credentials);
  return proxy === undefined ? '' : proxyAddress(proxy);
}

/**
 * The certificates (PEM) in the file that `--ca-file` names; undefined without that setting.
 * @throws AgentError CONFIG_INVALID when there are none in it
 */
export async function readCa(context: MachineContext, config: Config): Promise<string | undefined> {
  const path = config.control_plane.ca_file;
  if (path === undefined) {
    return undefined;
  }
  const file = await readCaFile(context.files, path);
  if ('problem' in file) {
    throw new AgentError('CONFIG_INVALID', `Cannot use --ca-file: ${file.problem}`, {
      hint: 'Correct --ca-file (PIPEOPS_CA_FILE)',
    });
  }
  return file.pem;
}

/** How k3s is downloaded. */
export interface Downloads extends Pick<K3sPlan, 'authorities' | 'origin'> {
  readonly http: Http;
  /** Ends every connection made for them. */
  readonly close: () => void;
}

/**
 * Downloads trust the authority of `--ca-file` beside the usual ones, because a mirror may have a
 * certificate of either kind.
 * @throws AgentError HOST_UNSUPPORTED
 */
export async function openDownloads(
  context: MachineContext,
  config: Config,
  ca: string | undefined,
): Promise<Downloads> {
  const authorities =
    ca === undefined ? undefined : [...(await context.authorities()), ca].join('\n');
  const proxy = proxySettings(context, config);
  const { http, close } = await context.network({ ca: authorities, proxy });
  const mirrors = k3sMirrors(config.k3s.mirror ?? '');
  const architecture = k3sArchitecture(context.architecture);
  const origin = networkOrigin({ ...context, http }, mirrors, architecture);
  return { authorities, origin, http, close };
}
