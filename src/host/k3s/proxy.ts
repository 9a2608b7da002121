import { type K3sRole, k3sUnitFile } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { changeOf } from '../engine/removals.ts';
import { LEAVES_NOTHING, type Resource } from '../engine/resource.ts';
import { askK3sRestart } from './restart.ts';

/** What k3s and its installer may know of our environment: how to get out. */
const PROXY_VARIABLES: readonly string[] = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The proxies of this environment, by the names in capital letters; empty ones are none. */
export function proxyVariables(env: Deps['env']): Readonly<Record<string, string>> {
  const given: Record<string, string> = {};
  for (const name of PROXY_VARIABLES) {
    const value = env[name] ?? env[name.toLowerCase()];
    if (value !== undefined && value !== '') {
      given[name] = value;
    }
  }
  return given;
}

/**
 * k3s' installer writes the proxies of its environment into a file of the unit, once. This takes
 * over others that a later run is given; what it is not given stays.
 */
export function k3sProxy(deps: Deps, role: K3sRole): Resource {
  const path = `${k3sUnitFile(role)}.env`;
  const wanted = Object.entries(proxyVariables(deps.env));
  const isDone = async () => {
    const text = await deps.files.readText(path);
    return text === undefined || wanted.every(([name, value]) => valueIn(text, name) === value);
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
      return [await changeOf(deps, path, isThere && (await isDone()))];
    },
    apply: async () => {
      const lines = ((await deps.files.readText(path)) ?? '').split('\n');
      const kept = lines.filter(
        (line) =>
          line !== '' && !wanted.some(([name]) => line.toUpperCase().startsWith(`${name}=`)),
      );
      const added = wanted.map(([name, value]) => `${name}="${value.replace(/["\\`$]/g, '\\$&')}"`);
      await askK3sRestart(deps, role);
      await deps.files.writeAtomic(path, `${[...kept, ...added].join('\n')}\n`, { mode: 0o600 });
    },
  };
}

/** As systemd reads it (systemd.exec(5), EnvironmentFile=). */
function valueIn(text: string, name: string): string | undefined {
  const raw = text.match(new RegExp(`^${name}=(.*)$`, 'im'))?.[1];
  if (raw?.startsWith("'")) {
    return raw.slice(1, -1).replaceAll("'\\''", "'");
  }
  return raw?.startsWith('"') ? raw.slice(1, -1).replace(/\\(.)/g, '$1') : raw;
}
