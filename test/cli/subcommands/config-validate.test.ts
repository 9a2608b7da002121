/** `config validate` looks at what the daemon will read, as the daemon's user, and names all of it. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { placesOf } from '../../../src/core/places.ts';
import type { Exec } from '../../../src/core/ports.ts';
import { renderKubeconfig } from '../../../src/protocol/files/kubeconfig.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { cliContext } from '../../support/cli-context.ts';
import { makeCertificates } from '../../support/tls.ts';

const {
  configFile,
  controlPlaneCaFile,
  controlPlaneTokenFile,
  kubeconfigFile,
  policyFile,
  proxyCredentialsFile,
} = placesOf();

const KUBECONFIG = renderKubeconfig('test', { server: 'https://a.test', ca: 'ca', token: 'token' });
/** Somebody who is not root, as the daemon is not. */
const AS_NOBODY = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--clear-groups'] : [];

let machine: BareMachine;

beforeEach(async () => {
  machine = await bareMachine();
  await chmod(machine.path, 0o755);
  await machine.put('/etc/passwd', 'root:x:0:0::/root:/bin/sh\npipeops-agent:x:65534:65534::/:\n');
  await machine.put(configFile, `control_plane: {ca_file: ${controlPlaneCaFile}}\n`);
  await machine.put(controlPlaneCaFile, (await makeCertificates(['127.0.0.1'])).ca);
  await machine.put(kubeconfigFile, KUBECONFIG);
  await machine.put(policyFile, 'preset: operate\n');
  await machine.put(controlPlaneTokenFile, 'a-token\n');
  await machine.put(proxyCredentialsFile, 'me:secret-of-the-proxy\n');
});
afterEach(() => machine[Symbol.asyncDispose]());

/** Runs what is run as the daemon's user for real, below the machine's root. */
const asDaemon: Exec = {
  run: async (argv) => {
    expect(argv.slice(0, 4)).toEqual(['runuser', '-u', 'pipeops-agent', '--']);
    const real = argv.slice(4).map((word) => (/^\/\w/.test(word) ? machine.path + word : word));
    const child = Bun.spawn([...AS_NOBODY, ...real], { stderr: 'pipe' });
    const stdout = await new Response(child.stdout).text();
    const stderr = await new Response(child.stderr).text();
    return { exitCode: await child.exited, stdout, stderr };
  },
};

async function validate(uid = 0) {
  const cli = cliContext({ root: machine.path, exec: asDaemon, uid });
  const { exitCode, stderr } = await cli.run('config', 'validate');
  const lines = stderr.replace(' [CONFIG_INVALID]', '').split('\n');
  const problems = lines.flatMap((line) => (line.startsWith('  - ') ? line.slice(4) : []));
  return { exitCode, stderr, problems };
}

test('files that the daemon can use are no problem', async () => {
  expect(await validate()).toEqual({
    exitCode: 0,
    problems: [],
    stderr: `${configFile}: no problems\n`,
  });
});

test('a key that is not known is a warning, with its line and what was meant', async () => {
  await machine.put(configFile, 'log:\n  levl: debug\nhttp: {port: 9090}\ntelemetry: {a: 1}\n');
  expect(await validate()).toEqual({
    exitCode: 0,
    problems: [
      'line 2: log.levl: is not a setting and is ignored, did you mean "log.level"?',
      'line 4: telemetry: is not a setting and is ignored',
    ],
    stderr:
      `${configFile} has keys that are not known here:\n` +
      '  - line 2: log.levl: is not a setting and is ignored, did you mean "log.level"?\n' +
      '  - line 4: telemetry: is not a setting and is ignored\n' +
      `${configFile}: no problems\n`,
  });
});

test('a value that a key cannot have is an error, and the keys that are not known are told beside it', async () => {
  await machine.put(configFile, 'log: {levl: debug, level: loud}\n');
  const { exitCode, stderr } = await validate();
  expect([exitCode, stderr]).toEqual([
    3,
    `${configFile} has keys that are not known here:\n` +
      '  - line 1: log.levl: is not a setting and is ignored, did you mean "log.level"?\n' +
      'pipeops-agent: error: The configuration has one problem:\n' +
      '  - log.level: must be one of error, warn, info, debug [CONFIG_INVALID]\n' +
      `pipeops-agent: hint: Correct ${configFile}, or the file that is named\n`,
  ]);
});

test('every problem of every file is named at once, beside those of the settings', async () => {
  await machine.put(
    configFile,
    `control_plane: {ca_file: ${controlPlaneCaFile}, transport: pigeon}\nhttp: {port: 70000}\n`,
  );
  await machine.put(controlPlaneCaFile, 'nothing');
  await machine.put(policyFile, 'preset: everything\nexec: maybe\n');
  await machine.put(kubeconfigFile, 'clusters: []\n');
  await machine.put(controlPlaneTokenFile, 'secret-one secret-two\n');
  await machine.put(proxyCredentialsFile, 'secret-without-colon\n');
  const { exitCode, stderr, problems } = await validate();
  expect([exitCode, problems.map((problem) => problem.split(':').slice(0, 2).join(':'))]).toEqual([
    3,
    [
      expect.stringMatching(/^control_plane\.transport: /),
      expect.stringMatching(/^http\.port: /),
      `control_plane.ca_file: there is no certificate (PEM) in ${controlPlaneCaFile}`,
      'policy.yaml: preset',
      'policy.yaml: exec',
      expect.stringMatching(/^kubeconfig: .* is none of the agent/),
      `${controlPlaneTokenFile}: Cannot use the control-plane token`,
      `${proxyCredentialsFile}: it is not user`,
    ],
  ]);
  expect(stderr).not.toContain('secret');
});

test('a join token in the place of the control-plane token is told by its shape', async () => {
  await machine.put(controlPlaneTokenFile, `pj1.${'QUJD'.repeat(20)}.0123abcd`);
  expect((await validate()).problems).toEqual([
    `${controlPlaneTokenFile}: This is a join token, not a token of the control plane`,
  ]);
});

test('what the user of the daemon cannot read is named, whoever asks', async () => {
  const files = [
    ...[controlPlaneCaFile, configFile, policyFile, kubeconfigFile],
    ...[controlPlaneTokenFile, proxyCredentialsFile],
  ];
  for (const path of files) {
    await chmod(join(machine.path, path), 0o600);
  }
  const named = files.map((path) => `the agent, user pipeops-agent, may not read ${path}`);
  expect((await validate()).problems).toEqual([
    `control_plane.ca_file: ${named[0]}`,
    ...named.slice(1),
  ]);
});

test('no token and no proxy credentials are no problem, no kubeconfig is one of a server', async () => {
  for (const path of [controlPlaneTokenFile, proxyCredentialsFile, kubeconfigFile]) {
    await Bun.file(join(machine.path, path)).delete();
  }
  expect((await validate()).problems).toEqual([
    `kubeconfig: there is no ${kubeconfigFile}; "pipeops-agent install" writes it`,
  ]);
  await machine.put(configFile, 'agent: {role: node}\n');
  expect((await validate()).problems).toEqual([]);
});

test('without root it says what it has not looked at', async () => {
  expect((await validate(1000)).stderr).toBe(
    `${configFile}: no problems; sudo checks ${controlPlaneTokenFile} and ${proxyCredentialsFile} too\n`,
  );
});
