/** schemathesis (PyPI) asks every route of the local API all that its document allows, and what it does not. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { startDaemon } from '../daemon/running-daemon.ts';
import { startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';
import { buildOnce } from '../vm/cache.ts';
import { runCommand } from '../vm/host-command.ts';

const SCHEMATHESIS = '4.32.5';
const FETCH_TIMEOUT_MS = 10 * 60_000;
const RUN_TIMEOUT_MS = 15 * 60_000;
const EXAMPLES = process.env['FUZZ_EXAMPLES'] ?? '40';
const SEED = process.env['SEED'] ?? '1';
/** Below the limit of the API: 429 is not in its document for each route. */
const RATE = '90/s';

/** An environment of Python; it needs Debian's python3-venv. */
async function schemathesis(): Promise<string> {
  const directory = await buildOnce(`schemathesis-${SCHEMATHESIS}`, async (made) => {
    await runCommand(['python3', '-m', 'venv', made], { timeoutMs: FETCH_TIMEOUT_MS });
    const install = ['-m', 'pip', 'install', '--quiet', `schemathesis==${SCHEMATHESIS}`];
    await runCommand([join(made, 'bin/python'), ...install], { timeoutMs: FETCH_TIMEOUT_MS });
  });
  // Its own script names the place where it was made.
  return join(directory, 'bin/python');
}

test('no request makes a route fail or answer other than its document says', async () => {
  const python = await schemathesis();
  const environment = process.env as Readonly<Record<string, string>>;
  await using directory = await tempDirectory();
  await using kubernetes = await startFakeKubernetes();
  const daemon = await startDaemon(directory.path, {
    kubernetes,
    credentials: {},
    config: 'http: {port: 0, tls_port: 0}\n',
  });
  const port = () => /listening.*?port=(\d+)/.exec(daemon.log.join('\n'))?.[1];
  await until('it listens', () => port() !== undefined);
  const url = `http://127.0.0.1:${port()}`;
  const token = (await Bun.file(join(directory.path, 'local-token')).text()).trim();
  const { exitCode, stdout } = await runCommand(
    [
      ...[python, '-m', 'schemathesis.cli', 'run', `${url}/openapi.json`, '--url', url],
      ...['--header', `Authorization: Bearer ${token}`, '--rate-limit', RATE],
      ...['--max-examples', EXAMPLES, '--seed', SEED, '--no-color'],
    ],
    {
      cwd: directory.path,
      timeoutMs: RUN_TIMEOUT_MS,
      check: false,
      env: { ...environment, SCHEMATHESIS_HOOKS: 'stream_hooks', PYTHONPATH: import.meta.dir },
    },
  );
  await daemon.stop();
  expect({ exitCode, said: exitCode === 0 ? '' : stdout.slice(-20_000) }).toEqual({
    exitCode: 0,
    said: '',
  });
  expect(daemon.log.filter((line) => line.includes('a request failed'))).toEqual([]);
});
