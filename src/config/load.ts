import type { z } from 'zod';
import { AgentError, messageOf } from '../core/errors.ts';
import { ALL_K3S_PORTS } from '../core/k3s-ports.ts';
import { parseProxy } from '../core/proxy-settings.ts';
import { issueWords } from '../core/text/issue-words.ts';
import { duplicateKeys } from '../core/text/yaml-keys.ts';
import { networksProblem } from './cluster-networks.ts';
import { describeSettings, type Setting, type SettingFlag } from './describe.ts';
import { parseRegistryMirror } from './registry-mirrors.ts';
import { Config, k3sMirrors } from './schema.ts';
import { splitUnknown, tellUnknown } from './unknown.ts';

export type Source = 'flag' | 'env' | 'file' | 'default';

export interface LoadedConfig {
  /** Frozen. */
  readonly config: Config;
  /** Where each setting came from, by its dotted path. */
  readonly sources: Readonly<Record<string, Source>>;
  /**
   * Keys of the file that are not settings of this version, each as a sentence for a person; they
   * are ignored.
   */
  readonly warnings: readonly string[];
}

/** What was given on the command line; text also where the setting is a boolean. */
export type SettingFlagValues = { readonly [Flag in SettingFlag]?: string | boolean };

export interface ConfigInputs {
  /** Flags by flag name, as text or boolean; absent ones left out. */
  readonly flags: SettingFlagValues;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text of the file, absent when there is none. */
  readonly fileText: string | undefined;
  /** Name of the file for messages. */
  readonly filePath: string;
  /** The machine's name: its cluster gets it when nobody gives another one. */
  readonly hostname: string;
}

const CLUSTER_NAME_LENGTH_MAX = 63;

type RawConfig = Record<string, Record<string, unknown>>;

/**
 * Flags over environment over file over defaults; merged raw, validated once.
 * @throws AgentError CONFIG_INVALID with every problem at once, in `details.problems` too
 */
export function loadConfig(inputs: ConfigInputs): LoadedConfig {
  const settings = describeSettings();
  const file = splitUnknown(parseFile(inputs));
  const raw = file.known as RawConfig; // Sections, or what the schema refuses.
  const sources: Record<string, Source> = {};
  const problems: string[] = [...duplicateKeys(inputs.fileText ?? '')];
  for (const setting of settings) {
    const given = pick(setting, inputs);
    if (given !== undefined) {
      place(raw, setting.path, coerce(setting, given.value));
      sources[setting.path] = given.source;
    } else {
      sources[setting.path] = isPresent(raw, setting.path) ? 'file' : 'default';
    }
  }
  const isSet = (path: string) => sources[path] !== 'default';
  const told = tellUnknown(file.unknown, inputs.fileText ?? '', isSet);
  const { warnings } = told;
  problems.push(...told.problems);
  // Once: compiling a parser for it takes longer than going without.
  const parsed = Config.safeParse(raw, { jitless: true, error: issueWords });
  if (!parsed.success) {
    problems.push(...parsed.error.issues.map(describeIssue));
    throw invalid(inputs.filePath, problems, warnings);
  }
  problems.push(...crossChecks(parsed.data));
  if (problems.length > 0) {
    throw invalid(inputs.filePath, problems, warnings);
  }
  const name = parsed.data.cluster.name || clusterNameOf(inputs.hostname);
  return { config: deepFreeze({ ...parsed.data, cluster: { name } }), sources, warnings };
}

/** Checks that involve more than one setting, which the schema cannot make. */
function crossChecks({ agent, control_plane: plane, http, k3s }: Config): string[] {
  const problems: string[] = [];
  const mirrors = k3sMirrors(k3s.mirror ?? '').map((text) => ['k3s.mirror', text] as const);
  const base = agent.base_url === undefined ? [] : [['agent.base_url', agent.base_url] as const];
  const registries = k3s.registry_mirrors.flatMap((text) => {
    const endpoint = parseRegistryMirror(text)?.endpoint;
    return endpoint === undefined ? [] : [['k3s.registry_mirrors', endpoint] as const];
  });
  const controlPlane = ['control_plane.url', plane.url] as const;
  for (const [path, text] of [controlPlane, ...base, ...mirrors, ...registries]) {
    problems.push(...addressProblems(path, new URL(text), plane));
  }
  if (plane.proxy !== undefined && parseProxy(plane.proxy, '') === undefined) {
    problems.push('control_plane.proxy: is not the address of a proxy');
  }
  problems.push(...[networksProblem(k3s.cluster_cidr, k3s.service_cidr) ?? []].flat());
  if (http.port !== 0 && http.port === http.tls_port) {
    problems.push(`http.tls_port: must be another port than http.port, ${http.port}`);
  }
  for (const [name, port] of Object.entries({ port: http.port, tls_port: http.tls_port })) {
    if (ALL_K3S_PORTS.includes(port)) {
      problems.push(`http.${name}: ${port} is a port of k3s itself`);
    }
  }
  return problems;
}

/**
 * Over `http://`, anybody on the way can read the token and change a program that root runs. So it
 * is allowed only to this machine, or when asked for.
 */
function addressProblems(
  path: string,
  url: URL,
  { allow_insecure }: Config['control_plane'],
): readonly string[] {
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  const insecure = url.protocol === 'http:' && !loopback && !allow_insecure;
  const plain = [url.username, url.password, url.search, url.hash].every((part) => part === '');
  return [
    ...(insecure
      ? [`${path}: must be https://, or set control_plane.allow_insecure (--allow-insecure)`]
      : []),
    ...(plain ? [] : [`${path}: must be an address without user, password, "?" and "#"`]),
  ];
}

/** The name of a machine may not do for a cluster: `web_1.`. */
function clusterNameOf(hostname: string): string {
  const name = hostname.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, CLUSTER_NAME_LENGTH_MAX);
  return name.replaceAll(/^[._-]+|[._-]+$/g, '') || 'cluster';
}

function parseFile(inputs: ConfigInputs): RawConfig {
  if (inputs.fileText === undefined || inputs.fileText.trim() === '') {
    return {};
  }
  let parsed: unknown;
  try {
    parsed = Bun.YAML.parse(inputs.fileText);
  } catch (cause) {
    throw new AgentError('CONFIG_INVALID', `Cannot read ${inputs.filePath}: ${messageOf(cause)}`, {
      hint: 'Correct the YAML syntax: indent with spaces, close each quote and bracket',
      cause,
    });
  }
  if (parsed === null) {
    return {};
  }
  if (typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw invalid(inputs.filePath, ['the file must hold sections such as "control_plane:"']);
  }
  // Own copy of each section, so that flags can be placed over it. Config checks the shapes.
  return Object.fromEntries(
    Object.entries(parsed).map(([key, value]) => [
      key,
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? { ...value }
        : (value ?? {}),
    ]),
  ) as RawConfig;
}

function pick(
  setting: Setting,
  inputs: ConfigInputs,
): { readonly value: string | boolean; readonly source: Source } | undefined {
  const flag = setting.meta.flag === undefined ? undefined : inputs.flags[setting.meta.flag];
  if (flag !== undefined) {
    return { value: flag, source: 'flag' };
  }
  const env =
    setting.meta.env === undefined ? undefined : fromEnvironment(inputs, setting.meta.env);
  // An empty variable is how shells say "not set".
  return env === undefined || env === '' ? undefined : { value: env, source: 'env' };
}

/**
 * Variables that other programs share may be in lower case, and may hold a password: it is cut out.
 */
function fromEnvironment(inputs: ConfigInputs, name: string): string | undefined {
  if (!name.endsWith('_PROXY')) {
    return inputs.env[name];
  }
  const text = inputs.env[name] ?? inputs.env[name.toLowerCase()];
  return text?.replace(/^(\w+:\/\/)?[^/]*@/, '$1');
}

/** Text that does not fit is left as it is: the schema then says what is wrong with it. */
function coerce(setting: Setting, value: string | boolean): unknown {
  if (typeof value === 'boolean') {
    return value;
  }
  if (setting.type === 'list') {
    return value.split(/[,\s]+/).filter((each) => each !== '');
  }
  if (setting.type === 'integer' && /^-?\d+$/.test(value)) {
    return Number(value);
  }
  if (setting.type === 'boolean' && /^(true|false)$/.test(value)) {
    return value === 'true';
  }
  return value;
}

function place(raw: RawConfig, path: string, value: unknown): void {
  const [section = '', name = ''] = path.split('.');
  const current = raw[section];
  if (current === undefined) {
    raw[section] = { [name]: value };
  } else if (typeof current === 'object') {
    current[name] = value;
  }
}

function isPresent(raw: RawConfig, path: string): boolean {
  const [section = '', name = ''] = path.split('.');
  const current = raw[section];
  return typeof current === 'object' && current !== null && Object.hasOwn(current, name);
}

function describeIssue(issue: z.core.$ZodIssue): string {
  return `${issue.path.join('.') || 'file'}: ${issue.message}`;
}

function invalid(
  filePath: string,
  problems: readonly string[],
  warnings: readonly string[] = [],
): AgentError {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  const listed = (lines: readonly string[]) => lines.map((line) => `\n  - ${line}`).join('');
  const also =
    warnings.length === 0 ? '' : `\nAnd keys that are not known here:${listed(warnings)}`;
  return new AgentError(
    'CONFIG_INVALID',
    `The configuration has ${count}:${listed(problems)}${also}`,
    {
      hint: `Correct ${filePath} (or the flag or variable), then check: pipeops-agent config validate`,
      details: { problems, ...(warnings.length === 0 ? {} : { warnings }) },
    },
  );
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) {
      deepFreeze(inner);
    }
  }
  return Object.freeze(value);
}
