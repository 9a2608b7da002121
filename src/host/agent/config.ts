import type { ConfigInput } from '../../config/schema.ts';
import { type RawConfig, withUnknown } from '../../config/unknown.ts';
import { AGENT_USER, type Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { writeOwn } from '../engine/own-text.ts';
import { ownFile } from '../engine/removals.ts';
import type { Resource } from '../engine/resource.ts';

const HEADER = '# Settings of pipeops-agent: pipeops-agent config show explains each.\n';

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/**
 * The configuration file. The daemon may read it, only root may write it, and it holds no secret. Keys
 * that are not settings of this version stay in it.
 */
export function agentConfig(
  deps: Deps,
  inventory: HostInventory,
  content: ConfigInput | undefined,
): Resource {
  const own = {
    id: 'agent-config',
    title: 'Write the configuration',
    path: deps.places.configFile,
    looksOurs,
  };
  if (content === undefined) {
    return ownFile(deps, inventory, own, undefined);
  }
  const wanted = (file: RawConfig | undefined) => withUnknown({ ...content }, file ?? {});
  const text = async () => textOf(wanted(await readFile(deps)));
  return ownFile(deps, inventory, own, {
    text,
    // Compared by its settings, so that the comments of a person stay.
    isDone: async () => {
      const file = await readFile(deps);
      return file !== undefined && Bun.deepEquals(file, wanted(file));
    },
    apply: async () => await write(deps, await text()),
  });
}

/**
 * Changes what the file says of the node's addresses, where it says something.
 * @throws AgentError FILE_ACCESS, DISK_FULL
 */
export async function tellNodeAddresses(deps: Deps, addresses: readonly string[]): Promise<void> {
  const file = await readFile(deps);
  const k3s: unknown = file?.['k3s'];
  if (typeof k3s === 'object' && k3s !== null && 'node_ip' in k3s) {
    const settings = { ...file, k3s: { ...k3s, node_ip: [...addresses] } };
    await write(deps, textOf(settings));
  }
}

function textOf(settings: RawConfig): string {
  return `${HEADER}${Bun.YAML.stringify(settings, null, 2).trimEnd()}\n`;
}

async function write(deps: Deps, text: string): Promise<void> {
  const options = { mode: 0o640, owner: `root:${AGENT_USER}` };
  await writeOwn(deps, deps.places.configFile, text, options);
}

function looksOurs(text: string): boolean {
  return text.startsWith(HEADER);
}

/** Parsed, but not checked: the caller has checked it before. */
async function readFile(deps: Deps): Promise<RawConfig | undefined> {
  const text = await deps.files.readText(deps.places.configFile);
  const parsed: unknown = text === undefined ? undefined : (Bun.YAML.parse(text) ?? {});
  return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined;
}
