/** Which settings are in force on this machine, and which are only written down or wished for. */

import { describeSettings, type Setting, settingValues } from '../config/describe.ts';
import type { LoadedConfig, Source } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { AgentError } from '../core/errors.ts';
import { K3S_CONFIG_FILE, K3S_REGISTRIES_FILE } from '../core/k3s-places.ts';
import { K3S_FLAGS, settingsOfK3sConfig } from '../host/k3s/config.ts';
import { installedK3sVersion } from '../host/k3s/program.ts';
import { isK3sRestartDue } from '../host/k3s/restart.ts';
import { readToldK3s, type ToldK3s } from '../host/k3s/told.ts';
import { askSettings } from './ask-daemon.ts';
import type { MachineContext } from './context.ts';
import { type ConfigFlags, loadEffectiveConfig } from './effective-config.ts';

type Values = Readonly<Record<string, unknown>>;

/** A field is undefined if nobody could be asked, or only root may ask. */
interface Facts {
  /** What the running daemon was started with. */
  readonly daemon: Values | undefined;
  /** Why that is not known. */
  readonly daemonSilence: string;
  /** Whether an agent is installed, running or not. */
  readonly isInstalled: boolean;
  /** What the daemon would be started with. Flags and variables of this command do not count. */
  readonly file: Values | undefined;
  /** What k3s is told by its files. */
  readonly k3s: ToldK3s | undefined;
  readonly k3sSilence: string | null;
  readonly k3sVersion: string | undefined;
  /** Whether k3s must be restarted for its present files. */
  readonly k3sRestartDue: boolean;
}

export interface SettingRow {
  readonly setting: string;
  readonly value: unknown;
  readonly source: Source;
  /** null if it is not known, or if the setting is used only during an installation. */
  readonly in_force: boolean | null;
  /** What is in force instead, or when this will be; null if there is nothing to say. */
  readonly note: string | null;
}

/** Every setting, and whether it is in force. Asks the daemon and k3s, and says so if it cannot. */
export async function settingRows(
  context: MachineContext,
  flags: ConfigFlags,
  { config, sources }: LoadedConfig,
): Promise<readonly SettingRow[]> {
  const facts = await findFacts(context, flags);
  const values = settingValues(config);
  return describeSettings().map((setting): SettingRow => {
    const { path } = setting;
    const row = { setting: path, value: values[path] ?? null, source: sources[path] ?? 'default' };
    if (config.agent.role === 'node' && NETWORKS.includes(path) && row.source === 'file') {
      return { ...row, in_force: true, note: "the cluster's, from the join token" };
    }
    const unused = isUnused(setting, config);
    const isWorker = config.agent.role === 'node';
    return { ...row, ...(unused ? ofServersOnly(row) : standing(row, facts, isWorker)) };
  });
}

/** Whether this is a setting of a server's only, on a worker. */
function isUnused({ meta }: Setting, { agent }: Config): boolean {
  return agent.role === 'node' && meta.serverOnly === true;
}

type Row = Pick<SettingRow, 'setting' | 'value' | 'source'>;
type Standing = Pick<SettingRow, 'in_force' | 'note'>;

function ofServersOnly({ source, value }: Row): Standing & Pick<SettingRow, 'value'> {
  const isDefault = source === 'default';
  return {
    value: isDefault ? null : value,
    in_force: isDefault ? null : false,
    note: 'of the first server only; this machine has joined one',
  };
}

/** They are the cluster's; a worker has them for its checks and its proxy. */
const NETWORKS: readonly string[] = ['k3s.cluster_cidr', 'k3s.service_cidr'];

function standing(row: Row, facts: Facts, isWorker: boolean): Standing {
  switch (row.setting) {
    case 'k3s.embedded_registry':
      return isWorker
        ? { in_force: null, note: row.value === true ? 'where its server has it, too' : null }
        : ofK3s(row, facts);
    case 'k3s.version':
      return ofVersion(row, facts);
    case 'k3s.mirror':
      return { in_force: null, note: row.value === null ? null : 'used while k3s is installed' };
    case 'k3s.server_address':
      return { in_force: null, note: row.value === null ? null : 'named by new join tokens' };
    case 'k3s.registry_mirrors':
      return { in_force: null, note: same(row.value, []) ? null : `see ${K3S_REGISTRIES_FILE}` };
    case 'k3s.proxy':
      return { in_force: null, note: 'used where a proxy is named: HTTPS_PROXY' };
    default:
      return row.setting.startsWith('k3s.') ? ofK3s(row, facts) : ofDaemon(row, facts);
  }
}

function ofVersion({ value }: Row, { k3sVersion }: Facts): Standing {
  if (k3sVersion === undefined) {
    return { in_force: null, note: 'k3s is not installed' };
  }
  const isSo = value === null || value === k3sVersion;
  return { in_force: isSo, note: `${isSo ? '' : 'not in force; '}installed: ${k3sVersion}` };
}

function ofK3s(row: Row, facts: Facts): Standing {
  const { k3s, k3sSilence, k3sRestartDue } = facts;
  if (k3s === undefined) {
    return { in_force: null, note: k3sSilence };
  }
  const told = settingsOfK3sConfig(k3s.settings)[row.setting] ?? null;
  const isTold = row.setting === 'k3s.tls_san' ? isWithin(row.value, told) : same(row.value, told);
  if (!isTold) {
    const place = k3s.places[K3S_FLAGS[row.setting] ?? ''] ?? K3S_CONFIG_FILE;
    const by = place === K3S_CONFIG_FILE ? '' : ` by ${place}`;
    return { in_force: false, note: `not in force: k3s was told ${shown(told)}${by}${wish(row)}` };
  }
  return k3sRestartDue
    ? { in_force: false, note: 'when k3s starts again: sudo pipeops-agent install' }
    : { in_force: true, note: null };
}

function ofDaemon(row: Row, facts: Facts): Standing {
  const { daemon, daemonSilence, file, isInstalled } = facts;
  const isWritten = file === undefined || same(row.value, file[row.setting] ?? null);
  if (daemon === undefined) {
    return isWritten || !isInstalled
      ? { in_force: null, note: daemonSilence }
      : { in_force: false, note: `the agent would not start with it${wish(row)}` };
  }
  const used = daemon[row.setting] ?? null;
  // For some empty settings the agent makes a value, or takes one from the machine.
  if (same(row.value, used)) {
    return { in_force: true, note: null };
  }
  return {
    in_force: false,
    note: isWritten
      ? `after the next start: sudo systemctl restart pipeops-agent; now ${shown(used)}`
      : `not in force: the agent runs with ${shown(used)}${wish(row)}`,
  };
}

/** A flag or a variable of "config show" does not set anything. */
function wish({ source }: Row): string {
  return source === 'flag' || source === 'env' ? '; to set it, give it to "install" or "join"' : '';
}

function same(a: unknown, b: unknown): boolean {
  const sorted = (value: unknown) => (Array.isArray(value) ? value.map(String).sort() : value);
  return Bun.deepEquals(sorted(a), sorted(b));
}

/** The certificate of the API has further names: that of `k3s.server_address`, and those of other files. */
function isWithin(wanted: unknown, told: unknown): boolean {
  const all = [told].flat();
  return [wanted].flat().every((name) => all.includes(name));
}

function shown(value: unknown): string {
  return value === null || (Array.isArray(value) && value.length === 0)
    ? 'nothing'
    : JSON.stringify(value);
}

async function findFacts(context: MachineContext, flags: ConfigFlags): Promise<Facts> {
  const [daemon, unit, k3s, k3sVersion, k3sRestartDue, file] = await Promise.all([
    ifKnown(async () => (await askSettings(context))?.settings),
    ifKnown(() => context.files.stat(context.places.unitFile)),
    ifKnown(() => readToldK3s(context)),
    ifKnown(() => installedK3sVersion(context)),
    ifKnown(() => isK3sRestartDue(context)),
    ifKnown(() => loadEffectiveConfig({ ...context, env: {} }, configFlag(flags))),
  ]);
  return {
    daemon: daemon.value,
    daemonSilence: daemon.why ?? 'not known: the agent is of an older version',
    isInstalled: unit.value !== undefined,
    file: file.value === undefined ? undefined : settingValues(file.value.config),
    k3s: k3s.value,
    k3sSilence: k3s.why ?? null,
    k3sVersion: k3sVersion.value,
    k3sRestartDue: k3sRestartDue.value === true,
  };
}

function configFlag({ config }: ConfigFlags): ConfigFlags {
  return config === undefined ? {} : { config };
}

interface Known<T> {
  readonly value: T | undefined;
  /** Why it is not known. */
  readonly why: string | undefined;
}

/** Everybody may run this, on any machine. What cannot be asked is shown as unknown. */
async function ifKnown<T>(ask: () => Promise<T | undefined>): Promise<Known<T>> {
  try {
    return { value: await ask(), why: undefined };
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      const needsRoot = thrown.code === 'NOT_ROOT' || thrown.code === 'FILE_ACCESS';
      const why = needsRoot ? 'sudo shows whether it is in force' : thrown.message;
      return { value: undefined, why };
    }
    throw thrown;
  }
}
