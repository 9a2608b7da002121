/** Lets a version show that it runs here and can use the store, on a copy, before anything is switched. */
import { errorInLines } from '../../../core/error-text.ts';
import { AgentError } from '../../../core/errors.ts';
import { AGENT_USER, type Places } from '../../../core/places.ts';
import type { Exec, Files } from '../../../core/ports.ts';
import { SelfTest } from '../../../protocol/files/upgrade.ts';
import { parseJson } from '../../engine/parse-json.ts';

const RUN_SECONDS_MAX = 60;
/** Beyond that, systemd itself does not answer. */
const EXEC_TIMEOUT_MS = 90_000;
const WORDS_MAX = 300;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/**
 * The new version uses a copy of the store, and then the present one uses what became of that copy: so
 * there is a way back.
 * @param programs by their own paths; without a present one, as after a package manager, nobody shows the way back
 * @throws AgentError UPGRADE_FAILED
 */
export async function tryOut(
  deps: Deps,
  programs: { readonly present: string | undefined; readonly next: string },
  version: string,
): Promise<void> {
  const directory = deps.places.selfTestDirectory;
  const copy = `${directory}/agent.db`;
  await deps.files.removeTree(directory);
  try {
    const owner = `${AGENT_USER}:${AGENT_USER}`;
    await deps.files.makeDirectory(directory, { mode: 0o700, owner });
    const from = `${deps.places.stateDirectory}/agent.db`;
    const next = await run(deps, programs.next, ['--from', from, '--copy', copy], version);
    if (next.version !== version) {
      throw failed(`What calls itself ${version} is ${next.version}`);
    }
    if (programs.present === undefined) {
      return;
    }
    // A store that is not there, or damaged, is no way for the present version either.
    const words = next.store === 'good' ? [] : ['--from', from];
    const present = await run(
      deps,
      programs.present,
      [...words, '--copy', copy],
      'the present version',
    );
    if (next.store === 'good' && present.store !== 'good') {
      throw failed(`the present version takes what ${version} makes of the store for damaged`);
    }
    if (next.config !== null && present.config === null) {
      throw failed(`${version} does not understand the settings: ${next.config}`);
    }
  } finally {
    await deps.files.removeTree(directory);
  }
}

async function run(
  { exec }: Deps,
  program: string,
  words: readonly string[],
  who: string,
): Promise<SelfTest> {
  const properties = [
    ...[`User=${AGENT_USER}`, `Group=${AGENT_USER}`, `RuntimeMaxSec=${RUN_SECONDS_MAX}`],
    ...['NoNewPrivileges=yes', 'PrivateNetwork=yes', 'MemoryMax=512M'],
    'UnsetEnvironment=BUN_OPTIONS BUN_BE_BUN NODE_OPTIONS',
  ].map((property) => `--property=${property}`);
  const { exitCode, stdout, stderr } = await exec.run(
    [
      ...(['systemd-run', '--quiet', '--wait', '--pipe', '--collect', ...properties] as const),
      ...[program, 'upgrade', 'self-test', ...words],
    ],
    { timeoutMs: EXEC_TIMEOUT_MS },
  );
  const told = SelfTest.safeParse(parseJson(stdout)).data;
  if (exitCode !== 0 || told === undefined) {
    const lines = stderr.split('\n').filter((line) => line.trim() !== '');
    const why = errorInLines(lines)?.message ?? lines.at(-1)?.slice(0, WORDS_MAX);
    throw failed(`${who} does not pass its self-test: ${why ?? `it ended with ${exitCode}`}`);
  }
  return told;
}

function failed(message: string): AgentError {
  return new AgentError('UPGRADE_FAILED', message, {
    hint: 'Nothing was changed. Choose another version (--to), and report this one',
  });
}
