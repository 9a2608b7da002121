/** What Prometheus itself says of the agent's metrics, rules and dashboard: the real one, scraping a real daemon. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { type RunningDaemon, startDaemon } from '../../daemon/running-daemon.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../../support/fake-kubernetes.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';
import { runCommand } from '../host-command.ts';
import { waitUntil } from '../wait-until.ts';
import { prometheusTools } from './tools.ts';

const PAGES = join(import.meta.dir, '../../../docs/observability');
/** Of each step, on a busy machine; the package is fetched in the first. */
const LIMIT_MS = 180_000;
/** Told by promtool of names that are promises (docs/decisions/0043-metrics.md). */
const KNOWN_LINT = /pipeops_agent_journal_commit_milliseconds/;

const Answer = z.object({ status: z.literal('success'), data: z.unknown() });
const Vector = z.object({
  result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })),
});
const Rules = z.object({
  groups: z.array(z.object({ rules: z.array(z.object({ name: z.string(), health: z.string() })) })),
});
const Targets = z.object({
  activeTargets: z.array(z.object({ health: z.string(), lastError: z.string() })),
});
const Dashboard = z.object({
  panels: z.array(z.object({ targets: z.array(z.object({ expr: z.string() })) })),
});

let directory: TempDirectory;
let kubernetes: FakeKubernetes;
let daemon: RunningDaemon;
let tools: string;
let prometheus: Bun.Subprocess | undefined;

beforeAll(async () => {
  [directory, kubernetes, tools] = await Promise.all([
    tempDirectory(),
    startFakeKubernetes(),
    prometheusTools(),
  ]);
  const config =
    'http: {port: 0, tls_port: 0}\nmetrics: {listen: "127.0.0.1:0"}\nfacts: {metadata: false}\n';
  daemon = await startDaemon(directory.path, { kubernetes, credentials: {}, config });
}, LIMIT_MS);

afterAll(async () => {
  prometheus?.kill('SIGKILL');
  await prometheus?.exited;
  await daemon.stop();
  await kubernetes[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

const promtool = (argv: readonly [string, ...string[]], stdin?: string) =>
  runCommand([join(tools, 'promtool'), ...argv], {
    ...{ timeoutMs: LIMIT_MS, check: false, cwd: directory.path },
    ...(stdin === undefined ? {} : { stdin }),
  });

test(
  'promtool finds nothing wrong with the rules, and each alert is for what it says',
  async () => {
    await copyFile(join(PAGES, 'rules.yaml'), join(directory.path, 'rules.yaml'));
    await copyFile(join(import.meta.dir, 'rules-test.yaml'), join(directory.path, 'test.yaml'));
    const checked = await promtool(['check', 'rules', 'rules.yaml']);
    expect(checked).toMatchObject({ exitCode: 0 });
    const tested = await promtool(['test', 'rules', 'test.yaml']);
    expect(`${tested.stdout}${tested.stderr}`).toContain('SUCCESS');
    expect(tested.exitCode).toBe(0);
  },
  LIMIT_MS,
);

test(
  'promtool reads the metrics of a daemon, and has nothing to say of their names',
  async () => {
    await waitUntil('it is known whether it is ready', LIMIT_MS, async () =>
      (await daemon.ask('/metrics')).includes('\npipeops_agent_ready '),
    );
    const { stdout, stderr } = await promtool(['check', 'metrics'], await daemon.ask('/metrics'));
    const told = `${stdout}${stderr}`.split('\n').filter((line) => line !== '');
    expect(told.filter((line) => !KNOWN_LINT.test(line))).toEqual([]);
    expect(told.length).toBeGreaterThan(0);
  },
  LIMIT_MS,
);

test(
  'a Prometheus scrapes a daemon over TLS with its token, and all rules and panels are answered',
  async () => {
    const port = await startPrometheus();
    const ask = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
      return Answer.parse(await answer.json()).data;
    };
    const query = async (expr: string) =>
      Vector.parse(await ask(`query?query=${encodeURIComponent(expr)}`)).result;
    await waitUntil('it is scraped', LIMIT_MS, async () => {
      const [sample] = await query('up{job="pipeops-agent"}');
      return sample?.value[1] === '1';
    });
    expect(Targets.parse(await ask('targets')).activeTargets).toEqual([
      { health: 'up', lastError: '' },
    ]);
    await waitUntil('each rule was evaluated', LIMIT_MS, async () => {
      const { groups } = Rules.parse(await ask('rules'));
      return groups.every(({ rules }) => rules.every(({ health }) => health !== 'unknown'));
    });
    const rules = Rules.parse(await ask('rules')).groups.flatMap((group) => group.rules);
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(rules.length).toBeGreaterThan(30);

    const { panels } = Dashboard.parse(await Bun.file(join(PAGES, 'dashboard.json')).json());
    const exprs = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    for (const expr of exprs) {
      await query(expr.replaceAll('$instance', '.+').replaceAll('$__rate_interval', '1m'));
    }
    expect(exprs.length).toBeGreaterThan(20);
    const [ready] = await query('pipeops_agent_session_connected');
    expect(ready?.value[1]).toBe('0');
  },
  LIMIT_MS,
);

/** @returns its port */
async function startPrometheus(): Promise<number> {
  const at = (name: string) => join(directory.path, name);
  const agent = await waitForDoor();
  const pem = await Bun.file(at('credentials/metrics-tls.pem')).text();
  await writeFile(at('agent.crt'), pem.slice(0, pem.indexOf('-----BEGIN PRIVATE')));
  await copyFile(join(PAGES, 'rules.yaml'), at('rules.yaml'));
  await writeFile(
    at('prometheus.yml'),
    `global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: pipeops-agent
    scheme: https
    authorization: {credentials_file: credentials/metrics-token}
    tls_config: {ca_file: agent.crt}
    static_configs: [{targets: ["127.0.0.1:${agent}"]}]
`,
  );
  prometheus = Bun.spawn(
    [
      join(tools, 'prometheus'),
      ...['--config.file=prometheus.yml', '--storage.tsdb.path=data'],
      ...['--web.listen-address=127.0.0.1:0', '--enable-feature=exemplar-storage'],
    ],
    // Not a pipe: Prometheus ends when nobody reads it any more.
    { cwd: directory.path, stdout: 'ignore', stderr: Bun.file(at('prometheus.log')) },
  );
  return await waitUntil('Prometheus listens', LIMIT_MS, async () => {
    const told = await Bun.file(at('prometheus.log')).text();
    const port = /msg="Listening on" address=127\.0\.0\.1:(\d+)/.exec(told)?.[1];
    return port === undefined ? undefined : Number(port);
  });
}

async function waitForDoor(): Promise<string> {
  let port = '';
  await waitUntil('the door for scrapers is open', LIMIT_MS, async () => {
    port = /metrics are answered.* port=(\d+)/.exec(daemon.log.join('\n'))?.[1] ?? '';
    return port !== '';
  });
  return port;
}
