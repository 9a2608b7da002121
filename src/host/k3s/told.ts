/** What all of k3s' configuration files say together, ours and those of others. */
import { AgentError } from '../../core/errors.ts';
import { K3S_CONFIG_FILE } from '../../core/k3s-places.ts';
import type { Files } from '../../core/ports.ts';
import { troubleOf } from '../../core/trouble.ts';
import { readK3sConfig } from './config.ts';
import { k3sConfigFiles } from './config-files.ts';

export interface ToldK3s {
  /** By the names of its flags. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** For each setting, the last file that says something about it. */
  readonly places: Readonly<Record<string, string>>;
}

/**
 * @returns undefined where k3s was not set up by us
 * @throws AgentError FILE_ACCESS, CONFIG_INVALID
 */
export async function readToldK3s(deps: { readonly files: Files }): Promise<ToldK3s | undefined> {
  return (await readK3sConfig(deps)) === undefined ? undefined : await readK3sFiles(deps);
}

/**
 * Whoever wrote them. The later file counts, and `key+` adds to what earlier ones say (k3s,
 * pkg/configfilearg).
 * @throws AgentError FILE_ACCESS, CONFIG_INVALID
 */
export async function readK3sFiles(deps: { readonly files: Files }): Promise<ToldK3s> {
  const settings: Record<string, unknown> = {};
  const places: Record<string, string> = {};
  for (const path of await k3sConfigFiles(deps.files)) {
    for (const [name, value] of Object.entries(parsed(path, await deps.files.readText(path)))) {
      const key = name.replace(/\+$/, '');
      const before = key === name ? [] : (settings[key] ?? []);
      settings[key] = key === name ? value : [before, value].flat();
      places[key] = path;
    }
  }
  return { settings, places };
}

function parsed(path: string, text: string | undefined): object {
  try {
    const content: unknown = Bun.YAML.parse(text ?? '');
    return typeof content === 'object' && content !== null ? content : {};
  } catch (cause) {
    throw new AgentError('CONFIG_INVALID', `k3s could not read ${path}: ${troubleOf(cause)}`, {
      hint:
        path === K3S_CONFIG_FILE
          ? 'Write it anew: sudo pipeops-agent install'
          : 'Correct that file or take it away',
      cause,
    });
  }
}
