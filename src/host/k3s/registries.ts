/**
 * Where k3s pulls images from (docs.k3s.io, "Private Registry Configuration"): mirrors, and whose
 * certificates they may have. What a person has written there stays, logins above all.
 */
import { AgentError } from '../../core/errors.ts';
import { K3S_REGISTRIES_FILE, K3S_REGISTRY_CA_FILE, type K3sRole } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import { placeOfNumber } from '../../core/text/unquoted-number.ts';
import { troubleOf } from '../../core/trouble.ts';
import type { HostInventory } from '../engine/inventory.ts';
import { writeOwn } from '../engine/own-text.ts';
import { type FileMaking, ownFile } from '../engine/removals.ts';
import type { Resource } from '../engine/resource.ts';
import { readStepJournal } from '../engine/step-journal.ts';
import { askK3sRestart } from './restart.ts';

/** It may hold logins. */
const REGISTRIES_MODE = 0o600;
const CA_MODE = 0o644;
/** By this line a later run knows which mirrors it may take away again. */
const MARK = '# Mirrors that pipeops-agent has set: ';
/** Registries that have no entry of their own. */
const EVERY_REGISTRY = '*';

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

export interface WantedRegistries {
  readonly role: K3sRole;
  readonly mirrors: readonly { readonly registry: string; readonly endpoint: string }[];
  /** The nodes hand images of every registry to each other (docs.k3s.io, "Embedded Registry Mirror"). */
  readonly shared: boolean;
  /** PEM of a private authority that registries may have a certificate of. */
  readonly ca: string | undefined;
}

/** @param wanted undefined where nothing is to be made */
export function k3sRegistries(
  deps: Deps,
  inventory: HostInventory,
  wanted: WantedRegistries | undefined,
): readonly Resource[] {
  const ca = {
    id: 'registry-ca',
    title: 'Keep the CA certificate for registries',
    path: K3S_REGISTRY_CA_FILE,
    looksOurs: () => false,
  };
  const file = {
    id: 'registries',
    title: 'Name registries to k3s',
    path: K3S_REGISTRIES_FILE,
    looksOurs: (text: string) => text.startsWith(MARK),
  };
  const isSaying =
    wanted !== undefined &&
    (wanted.mirrors.length > 0 ||
      wanted.shared ||
      wanted.ca !== undefined ||
      inventory.has('file', file.path));
  return [
    ownFile(deps, inventory, ca, wanted?.ca === undefined ? undefined : caMaking(deps, wanted)),
    ownFile(deps, inventory, file, isSaying ? registriesMaking(deps, wanted) : undefined),
  ].map(stayingWithK3s);
}

/** Where k3s stays, it goes on pulling as it does. */
function stayingWithK3s(resource: Resource): Resource {
  return { ...resource, undo: async (how) => (how.keepK3s ? [] : resource.undo(how)) };
}

function caMaking(deps: Deps, wanted: WantedRegistries): FileMaking {
  return {
    text: async () => wanted.ca ?? '',
    isDone: async () =>
      (await isLeftAlone(deps, wanted)) ||
      (await deps.files.readText(K3S_REGISTRY_CA_FILE)) === wanted.ca,
    apply: async () => {
      await askK3sRestart(deps, wanted.role);
      await writeOwn(deps, K3S_REGISTRY_CA_FILE, wanted.ca ?? '', { mode: CA_MODE });
    },
  };
}

function registriesMaking(deps: Deps, wanted: WantedRegistries): FileMaking {
  const current = async () => (await deps.files.readText(K3S_REGISTRIES_FILE)) ?? '';
  return {
    text: async () => rendered(await current(), wanted),
    isDone: async () => (await isLeftAlone(deps, wanted)) || isSaid(await current(), wanted),
    apply: async () => {
      const text = rendered(await current(), wanted);
      await askK3sRestart(deps, wanted.role);
      await writeOwn(deps, K3S_REGISTRIES_FILE, text, { mode: REGISTRIES_MODE });
    },
  };
}

/**
 * An authority alone is no reason to start a k3s again that an earlier version has set up: it was given for
 * the control plane.
 */
async function isLeftAlone(deps: Deps, { mirrors, shared }: WantedRegistries): Promise<boolean> {
  const hasStarted = (await readStepJournal(deps))['k3s-start'] !== undefined;
  const isOurs =
    (await deps.files.stat(K3S_REGISTRY_CA_FILE)) !== undefined ||
    ((await deps.files.readText(K3S_REGISTRIES_FILE)) ?? '').startsWith(MARK);
  return mirrors.length === 0 && !shared && hasStarted && !isOurs;
}

type Entry = Readonly<Record<string, unknown>>;

function isSaid(text: string, wanted: WantedRegistries): boolean {
  const content = parsed(text);
  const isSame = Bun.deepEquals(content, merged(content, setBefore(text), wanted));
  return isSame && Bun.deepEquals(setBefore(text), ownNames(text, wanted));
}

/** @throws AgentError CONFIG_INVALID where a text of theirs could become another */
function rendered(text: string, wanted: WantedRegistries): string {
  const content = merged(parsed(text), setBefore(text), wanted);
  const number = placeOfNumber(content); // The file has no field for numbers.
  if (number !== undefined) {
    throw new AgentError(
      'CONFIG_INVALID',
      `Cannot add to ${K3S_REGISTRIES_FILE}: ${number} is a number without quotes, which could become another one`,
      {
        hint: 'Put it in quotes, which means the same to k3s. Then run the same command again',
      },
    );
  }
  // JSON is YAML: no text needs quoting of its own.
  return `${MARK}${ownNames(text, wanted).join(' ')}\n${JSON.stringify(content, null, 2)}\n`;
}

/** Each needs an entry: k3s shares images of those alone that have one. */
function names({ mirrors, shared }: WantedRegistries): readonly string[] {
  const all = [...mirrors.map(({ registry }) => registry), ...(shared ? [EVERY_REGISTRY] : [])];
  return [...new Set(all)].sort();
}

/** Those that a later run may take away again: not an entry for all that a person has made. */
function ownNames(text: string, wanted: WantedRegistries): readonly string[] {
  const isTheirs =
    wanted.mirrors.every(({ registry }) => registry !== EVERY_REGISTRY) &&
    !setBefore(text).includes(EVERY_REGISTRY) &&
    entryOf(parsed(text)['mirrors'])[EVERY_REGISTRY] !== undefined;
  return names(wanted).filter((name) => name !== EVERY_REGISTRY || !isTheirs);
}

function setBefore(text: string): readonly string[] {
  const line = text.split('\n').find((each) => each.startsWith(MARK)) ?? '';
  return line
    .slice(MARK.length)
    .split(' ')
    .filter((name) => name !== '');
}

function merged(content: Entry, before: readonly string[], wanted: WantedRegistries): Entry {
  const stays = Object.entries(entryOf(content['mirrors'])).filter(
    ([name]) => !before.includes(name) || names(wanted).includes(name),
  );
  const mirrors: Record<string, unknown> = Object.fromEntries(stays);
  for (const name of names(wanted)) {
    const endpoint = wanted.mirrors
      .filter(({ registry }) => registry === name)
      .map((mirror) => mirror.endpoint);
    const { endpoint: given, ...others } = entryOf(mirrors[name]);
    const kept =
      before.includes(name) || given === undefined ? others : { ...others, endpoint: given };
    mirrors[name] = endpoint.length === 0 ? kept : { ...others, endpoint };
  }
  const configs = trusting(entryOf(content['configs']), wanted);
  return {
    ...content,
    ...(Object.keys(mirrors).length === 0 && content['mirrors'] === undefined ? {} : { mirrors }),
    ...(Object.keys(configs).length === 0 ? {} : { configs }),
  };
}

/** An entry of its own hides the one for all others. */
function trusting(configs: Entry, { mirrors, ca }: WantedRegistries): Entry {
  if (ca === undefined) {
    return configs;
  }
  const hosts = [EVERY_REGISTRY, ...mirrors.map(({ endpoint }) => new URL(endpoint).host)];
  const entries = [...new Set(hosts)].map((host) => {
    const config = entryOf(configs[host]);
    const tls = { ca_file: K3S_REGISTRY_CA_FILE, ...entryOf(config['tls']) };
    return [host, { ...config, tls }] as const;
  });
  return { ...configs, ...Object.fromEntries(entries) };
}

function entryOf(value: unknown): Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Entry)
    : {};
}

/** @throws AgentError CONFIG_INVALID where k3s could not read it either */
function parsed(text: string): Entry {
  try {
    return entryOf(Bun.YAML.parse(text));
  } catch (cause) {
    throw new AgentError(
      'CONFIG_INVALID',
      `k3s could not read ${K3S_REGISTRIES_FILE}: ${troubleOf(cause)}`,
      { hint: 'Correct that file or take it away, then run the same command again', cause },
    );
  }
}
