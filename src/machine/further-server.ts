/** What a further server takes over from the first one, and what of it may be another one there. */
import type { LoadedConfig } from '../config/load.ts';
import type { ConfigInput } from '../config/schema.ts';
import type { SharedSettings } from '../protocol/files/shared-settings.ts';
import type { MachineContext } from './context.ts';
import { givenSettings, isOffered } from './set-up.ts';

/** Settings that are the cluster's. The others are the machine's: its name, its proxy, its ports. */
const SHARED: Readonly<Record<string, readonly string[]>> = {
  agent: ['labels', 'base_url'],
  cluster: ['name'],
  control_plane: [
    'url',
    'transport',
    'allow_insecure',
    'gateway_hosts',
    'heartbeat_interval',
    'status_interval',
    'poll_interval',
  ],
  k3s: ['mirror', 'server_address'],
};

/** Where the programs came from, when a server of the cluster offered them. */
const OFFERED: readonly string[] = ['agent.base_url', 'k3s.mirror', 'control_plane.ca_file'];

type Sections = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** @param content of the configuration file of this server */
export function sharedSettings(content: ConfigInput, ca: string | undefined): SharedSettings {
  return { v: 1, settings: only(content as Sections), ca: ca ?? null };
}

/**
 * The content of its configuration file. What was given on this machine wins: the agent there has the
 * session only where the control plane is the one that the session's token is for.
 */
export function furtherServerSettings(
  { places }: MachineContext,
  loaded: LoadedConfig,
  shared: SharedSettings,
): ConfigInput {
  const own = withoutOffer(loaded, givenSettings(loaded) as Sections);
  const common = only(shared.settings);
  const names = new Set([...Object.keys(common), ...Object.keys(own)]);
  const merged: Record<string, Record<string, unknown>> = {};
  for (const name of names) {
    merged[name] = { ...common[name], ...own[name] };
  }
  const hasCa = shared.ca !== null || own['control_plane']?.['ca_file'] !== undefined;
  return {
    ...merged,
    agent: { ...merged['agent'], role: 'server' },
    control_plane: {
      ...merged['control_plane'],
      ...(hasCa ? { ca_file: places.controlPlaneCaFile } : {}),
    },
  } as ConfigInput;
}

/**
 * What the servers share after `install` on a further one: what is given to it by flag or variable is for
 * those that join later as well.
 * @param ca of the control plane, as this server has it
 */
export function sharedAfter(
  loaded: LoadedConfig,
  shared: SharedSettings,
  ca: string | undefined,
): SharedSettings {
  const isGiven = (path: string) => ['flag', 'env'].includes(loaded.sources[path] ?? '');
  const own = withoutOffer(loaded, givenSettings(loaded) as Sections);
  const settings = { ...shared.settings };
  for (const [section, values] of Object.entries(only(own))) {
    const given = Object.entries(values).filter(([name]) => isGiven(`${section}.${name}`));
    if (given.length > 0) {
      settings[section] = { ...settings[section], ...Object.fromEntries(given) };
    }
  }
  const hasCa = own['control_plane']?.['ca_file'] !== undefined;
  return {
    ...shared,
    settings,
    ca: hasCa && isGiven('control_plane.ca_file') ? (ca ?? null) : shared.ca,
  };
}

/** Shared settings that are other ones in the configuration file of this server. */
export function otherThanShared(
  content: ConfigInput,
  shared: SharedSettings,
  ca: string | undefined,
): readonly string[] {
  const common = only(shared.settings);
  const names = Object.entries(only(content as Sections)).flatMap(([section, values]) =>
    Object.entries(values).flatMap(([name, value]) =>
      Bun.deepEquals(value, common[section]?.[name]) ? [] : [`${section}.${name}`],
    ),
  );
  return (ca ?? null) === shared.ca ? names : [...names, 'control_plane.ca_file'];
}

/** In one order, so that the same settings are the same text. */
function only(sections: Sections): Sections {
  const kept = Object.entries(SHARED).map(([section, names]) => {
    const values = sections[section] ?? {};
    const given = names.filter((name) => values[name] !== undefined);
    return [section, Object.fromEntries(given.map((name) => [name, values[name]]))] as const;
  });
  return withoutEmpty(kept);
}

/** An offer ends with its token: nothing comes from there later. */
function withoutOffer(loaded: LoadedConfig, sections: Sections): Sections {
  if (!isOffered(loaded)) {
    return sections;
  }
  const kept = Object.entries(sections).map(([section, values]) => {
    const own = Object.entries(values).filter(([name]) => !OFFERED.includes(`${section}.${name}`));
    return [section, Object.fromEntries(own)] as const;
  });
  return withoutEmpty(kept);
}

function withoutEmpty(sections: readonly (readonly [string, Record<string, unknown>])[]): Sections {
  return Object.fromEntries(sections.filter(([, values]) => Object.keys(values).length > 0));
}
