import { k3sUnitFile } from '../../core/k3s-places.ts';
import { credentialsOf, type ProxySettings } from '../../core/proxy-settings.ts';
import type { FactDeps } from './fact.ts';

/**
 * The proxy of the settings. Its user and password are no setting: they come from the environment, else
 * from where root gave them to k3s.
 */
export async function outboundProxy(deps: FactDeps): Promise<ProxySettings> {
  const { proxy, no_proxy: noProxy } = deps.subject.config.control_plane;
  return {
    url: proxy ?? '',
    credentials: proxy === undefined ? '' : await credentials(deps),
    noProxy: noProxy ?? '',
  };
}

async function credentials({ env, files, uid, subject }: FactDeps): Promise<string> {
  const given = credentialsOf(env['HTTPS_PROXY'] ?? env['https_proxy'] ?? '');
  if (given !== '' || uid !== 0) {
    return given;
  }
  const path = `${k3sUnitFile(subject.k3sRole)}.env`;
  const text = (await files.readText(path)) ?? '';
  return credentialsOf(/^(?:CONTAINERD_)?HTTPS_PROXY="?([^"\n]*)/im.exec(text)?.[1] ?? '');
}
