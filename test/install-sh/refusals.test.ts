/** When install.sh does not start, or cannot go on: what it says, and that it leaves nothing. */

import { describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import { startFakeRelease } from './fake-release.ts';
import { openPrivateMachine } from './private-machine.ts';
import { runInstallSh } from './run-install-sh.ts';
import { findShells, INSTALL_SH, type Shell } from './shells.ts';
import { makeCertificate } from './tls.ts';
import { provideTools, type ToolsOptions } from './tools.ts';

const IS_ROOT = process.getuid?.() === 0;
/** Mount namespaces need root. */
const rootTest = test.if(IS_ROOT);
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

const shells = findShells();
/** BusyBox calls its own tools whatever the PATH holds: those tests cannot take some away. */
const shellsWithoutTools = shells.filter(({ toolbox }) => toolbox === undefined);

type MachineOptions = Parameters<typeof openPrivateMachine>[0];

async function open(shell: Shell, options: ToolsOptions & MachineOptions = {}) {
  await using cleanup = new AsyncDisposableStack();
  const release = cleanup.use(startFakeRelease());
  const machine = cleanup.use(await openPrivateMachine(options));
  const tools = cleanup.use(await provideTools(shell, options));
  release.publish('1.2.3');
  const owned = cleanup.move();
  const run = { machine, shell, tools, env: { PIPEOPS_BASE_URL: release.baseUrl } };
  return { release, machine, run, tools, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe.each([...shells])('install.sh in $name without root', (shell) => {
  test.each([[['--help']], [['-h']], [['join', '--help']]])(
    'tells its words, and downloads nothing: %j',
    async (words) => {
      const child = Bun.spawn([...shell.argv, '-s', '--', ...words], {
        stdin: Bun.file(INSTALL_SH),
        stderr: 'pipe',
        env: { PATH: '/usr/bin:/bin', PIPEOPS_BASE_URL: 'http://127.0.0.1:1' },
      });
      const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      expect({ exitCode: await child.exited, stderr }).toEqual({ exitCode: 0, stderr: '' });
      for (const word of ['install', 'join', 'upgrade', 'uninstall', 'version']) {
        expect(stdout).toContain(`\n  ${word} `);
      }
    },
  );

  test.each([
    ['no word', ['--cluster-name', 'one'], ''],
    ['join', ['join', '--token-file', 'f'], ' -s -- join'],
    ['upgrade', ['upgrade'], ' -s -- upgrade'],
    ['uninstall', ['uninstall'], ' -s -- uninstall'],
  ])('says NOT_ROOT to everybody else: %s', async (_, words, again) => {
    const user = IS_ROOT ? NOBODY : [];
    const child = Bun.spawn([...user, ...shell.argv, '-s', '--', ...words], {
      stdin: Bun.file(INSTALL_SH),
      stderr: 'pipe',
      env: { PATH: '/usr/bin:/bin', PIPEOPS_BASE_URL: 'https://mirror.test/agent/' },
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect({ exitCode: await child.exited, stdout, stderr }).toEqual({
      exitCode: 4,
      stdout: '',
      stderr:
        'pipeops-agent: error: Installing changes this machine and needs root [NOT_ROOT]\n' +
        'pipeops-agent: hint: Run it with sudo: ' +
        `curl -fsSL https://mirror.test/agent/install.sh | sudo sh${again}\n`,
    });
  });
});

describe.each([...shellsWithoutTools])('install.sh in $name', (shell) => {
  rootTest('takes the arm64 build when the machine is an aarch64 one', async () => {
    const uname = 'case $1 in -s) echo Linux ;; -m) echo aarch64 ;; esac';
    await using setup = await open(shell, { replaced: { uname } });
    expect((await runInstallSh(setup.run)).exitCode).toBe(0);
    expect(setup.release.requests).toContain('/1.2.3/pipeops-agent-linux-arm64.gz');
  });

  rootTest.each([
    ['apt', 'dpkg-query', [], 'apt-get install --only-upgrade pipeops-agent'],
    ['dnf', 'rpm', [], 'dnf upgrade pipeops-agent'],
    ['zypper', 'rpm', ['zypper'], 'zypper update pipeops-agent'],
  ])('leaves a machine alone whose agent came by %s', async (manager, database, more, command) => {
    const owns = 'case $* in *" /usr/bin/pipeops-agent") exit 0 ;; esac; exit 1';
    const tools = [database, ...more];
    const replaced = Object.fromEntries(tools.map((tool) => [tool, owns]));
    await using packaged = await tempDirectory();
    const program = join(packaged.path, 'pipeops-agent');
    await writeFile(program, '#!/bin/sh\necho "the program of the package: $*"\n', { mode: 0o755 });
    await using setup = await open(shell, { replaced, packaged: program });
    for (const word of ['install', 'join', 'upgrade']) {
      const use = word === 'upgrade' ? '' : `Use that one: sudo /usr/bin/pipeops-agent ${word}. `;
      expect(await runInstallSh({ ...setup.run, flags: [word] })).toEqual({
        exitCode: 4,
        stdout: '',
        stderr:
          `pipeops-agent: error: This machine's agent came by ${manager} [INSTALLED_OTHERWISE]\n` +
          `pipeops-agent: hint: ${use}For a newer version: sudo ${command}\n`,
      });
    }
    for (const word of ['version', 'uninstall']) {
      const { stdout } = await runInstallSh({ ...setup.run, flags: [word] });
      expect(stdout).toBe(`the program of the package: ${word}\n`);
    }
    expect(await setup.machine.files()).toEqual([]);
  });

  rootTest(
    'does not download what cannot start without the GNU C library, as on Alpine',
    async () => {
      await using setup = await open(shell);
      const script = await Bun.file(INSTALL_SH).text();
      const withoutLoader = script.replace(
        /^LOADERS=.*$/m,
        "LOADERS='/nowhere/a.so /nowhere/b.so'",
      );
      expect(withoutLoader).not.toBe(script);
      expect(await runInstallSh({ ...setup.run, script: withoutLoader })).toEqual({
        exitCode: 4,
        stdout: '',
        stderr:
          'pipeops-agent: error: This system has no GNU C library, so the agent cannot start (Alpine, NixOS) [HOST_UNSUPPORTED]\n' +
          'pipeops-agent: hint: Use Debian 12, Ubuntu 22.04, RHEL 9 or newer\n',
      });
      expect(setup.release.requests).toEqual([]);
      expect(await setup.machine.files()).toEqual([]);
    },
  );

  const ON_LINUX = 'Use a Linux machine with an x86-64 or arm64 processor';
  rootTest.each([
    ['Linux', 'armv7l', ON_LINUX],
    ['Linux', 'riscv64', ON_LINUX],
    ['Darwin', 'arm64', 'Use a Linux virtual machine on this Mac, for example with Lima'],
    ['FreeBSD', 'amd64', ON_LINUX],
  ])('says HOST_UNSUPPORTED on %s %s', async (system, machine, hint) => {
    const uname = `case $1 in -s) echo ${system} ;; -m) echo ${machine} ;; esac`;
    await using setup = await open(shell, { replaced: { uname } });
    expect(await runInstallSh(setup.run)).toEqual({
      exitCode: 4,
      stdout: '',
      stderr:
        `pipeops-agent: error: There is no build for "${system} ${machine}" [HOST_UNSUPPORTED]\n` +
        `pipeops-agent: hint: ${hint}\n`,
    });
    expect(await setup.machine.files()).toEqual([]);
  });

  rootTest.each([
    ['lacks SSE4.2', 'x86_64', 'flags\t\t: fpu sse4_1 sse4_2x avx', 4],
    ['has SSE4.2', 'x86_64', 'flags\t\t: fpu sse4_2', 0],
    ['has SSE4.2 as one of many', 'x86_64', 'flags\t\t: fpu sse4_2 avx\nbugs\t\t: swapgs', 0],
    ['says nothing of its flags', 'x86_64', 'model name\t: sse4_2', 4],
    ['is of another kind', 'aarch64', 'Features\t: fp asimd', 0],
  ])('downloads only what can start: the processor %s', async (_, kind, cpuinfo, exitCode) => {
    await using file = await tempDirectory();
    await writeFile(`${file.path}/cpuinfo`, `processor\t: 0\n${cpuinfo}\n`);
    const uname = `case $1 in -s) echo Linux ;; -m) echo ${kind} ;; esac`;
    await using setup = await open(shell, {
      replaced: { uname },
      cpuinfo: `${file.path}/cpuinfo`,
    });
    const ran = await runInstallSh(setup.run);
    expect(ran.exitCode).toBe(exitCode);
    if (exitCode !== 0) {
      expect(ran.stderr).toBe(
        'pipeops-agent: error: The processor lacks SSE4.2 [HOST_UNSUPPORTED]\n' +
          'pipeops-agent: hint: Give the virtual machine a newer CPU model, for example "host"\n',
      );
      expect(setup.release.requests).toEqual([]);
    }
  });

  rootTest.each(['curl', 'gzip', 'sha256sum'])('says TOOL_MISSING without %s', async (tool) => {
    await using setup = await open(shell, { without: [tool] });
    const { exitCode, stderr } = await runInstallSh(setup.run);
    expect(exitCode).toBe(7);
    expect(stderr).toContain('[TOOL_MISSING]\n');
    expect(stderr).toContain(`Install ${tool} with this system's package manager`);
    expect(setup.release.requests).toEqual([]);
    expect(await setup.machine.files()).toEqual([]);
  });

  rootTest('refuses the wget of BusyBox, which does not check certificates', async () => {
    const wget = 'echo "wget: unrecognized option: version" >&2; exit 1';
    await using setup = await open(shell, { fetcher: 'wget', replaced: { wget } });
    const { exitCode, stderr } = await runInstallSh(setup.run);
    expect(exitCode).toBe(7);
    expect(stderr).toContain('Cannot download without curl or GNU wget [TOOL_MISSING]\n');
  });

  rootTest('puts no secret of the environment into the arguments of a tool', async () => {
    await using setup = await open(shell, { recording: true });
    const env = { ...setup.run.env, PIPEOPS_TOKEN: 'secret-one', K3S_TOKEN: 'secret-two' };
    expect((await runInstallSh({ ...setup.run, env })).exitCode).toBe(0);
    const calls = await setup.tools.calls();
    expect(calls).toContain(`${setup.release.baseUrl}/latest`);
    expect(calls).not.toContain('secret');
  });

  rootTest.each(['curl', 'wget'] as const)(
    'follows no redirect from https to http with %s',
    async (fetcher) => {
      await using setup = await open(shell, { fetcher });
      await using tls = await makeCertificate();
      await using secure = startFakeRelease({ tls });
      secure.publish('1.2.3');
      const env = { ...tls.trustingEnvironment, PIPEOPS_BASE_URL: secure.baseUrl };
      expect((await runInstallSh({ ...setup.run, env })).exitCode).toBe(0);

      await using other = await open(shell, { fetcher });
      secure.answer('/1.2.3/SHA256SUMS', () =>
        Response.redirect(`${setup.release.baseUrl}/1.2.3/SHA256SUMS`, 302),
      );
      const { exitCode, stderr } = await runInstallSh({ ...other.run, env });
      expect(exitCode).toBe(6);
      expect(stderr).toContain(`Cannot download ${secure.baseUrl}/1.2.3/SHA256SUMS: `);
      expect(stderr).toContain('[DOWNLOAD_FAILED]\n');
      expect(await other.machine.files()).toEqual([]);
    },
  );
});

describe.each([...shellsWithoutTools])('install.sh in $name and a private authority', (shell) => {
  rootTest.each([
    ['curl', 'flag'],
    ['curl', 'flag with ='],
    ['curl', 'variable'],
    ['wget', 'variable'],
  ] as const)('takes it from a %s with %s, beside the public ones', async (fetcher, given) => {
    await using setup = await open(shell, { fetcher });
    await using tls = await makeCertificate();
    await using secure = startFakeRelease({ tls });
    secure.publish('1.2.3');
    const file = tls.certFile;
    const flags =
      given === 'flag' ? ['--ca-file', file] : given === 'variable' ? [] : [`--ca-file=${file}`];
    const env = {
      PIPEOPS_BASE_URL: secure.baseUrl,
      ...(given === 'variable' ? { PIPEOPS_CA_FILE: file } : {}),
    };
    expect((await runInstallSh({ ...setup.run, flags, env })).exitCode).toBe(0);
    const refused = await runInstallSh({
      ...setup.run,
      env: { PIPEOPS_BASE_URL: secure.baseUrl, PIPEOPS_VERSION: '1.2.4' },
    });
    expect(refused.exitCode).toBe(6);
    expect(refused.stderr).toContain('[DOWNLOAD_FAILED]\n');
  });
});

describe.each([...shells])('install.sh in $name', (shell) => {
  rootTest.each(['http://192.0.2.1', 'http://localhost.example', 'http://127.0.0.1.example:80'])(
    'takes nothing from %s unless that is allowed',
    async (url) => {
      const curl = 'echo "curl: (28) Connection timed out" >&2; exit 28';
      await using setup = await open(shell, { replaced: { curl } });
      const env = { PIPEOPS_BASE_URL: url };
      expect(await runInstallSh({ ...setup.run, env })).toMatchObject({
        exitCode: 3,
        stderr:
          'pipeops-agent: error: PIPEOPS_BASE_URL is an http:// address [CONFIG_INVALID]\n' +
          'pipeops-agent: hint: Use https://. ' +
          'If you trust every machine on the way, add --allow-insecure\n',
      });
      const allowed = await runInstallSh({ ...setup.run, env, flags: ['--allow-insecure'] });
      expect(allowed.exitCode).toBe(6);
    },
  );

  rootTest('ends a transfer that is interrupted as it starts', async () => {
    // The signal is there before the shell can note which program it has started.
    const curl = 'kill -TERM "$PPID"; exec /usr/bin/sleep 600';
    await using setup = await open(shell, { replaced: { curl } });
    const env = { PIPEOPS_BASE_URL: setup.release.baseUrl };
    // It would hold standard output open for as long as it ran.
    const { exitCode, stderr } = await runInstallSh({ ...setup.run, env });
    expect(exitCode).toBe(130);
    expect(stderr).toContain('pipeops-agent: error: Interrupted [INTERRUPTED]\n');
    expect(await setup.machine.files()).toEqual([]);
  });

  rootTest('says under sudo that no variable came through, and so no proxy', async () => {
    const curl = 'echo "curl: (28) Connection timed out" >&2; exit 28';
    await using setup = await open(shell, { replaced: { curl } });
    const { exitCode, stderr } = await runInstallSh({ ...setup.run, env: { SUDO_USER: 'alice' } });
    expect({ exitCode, stderr }).toEqual({
      exitCode: 6,
      stderr:
        'No variables are set (sudo drops exported ones: use flags, or sudo NAME=value sh)\n' +
        'pipeops-agent: error: Cannot download https://get.pipeops.dev/agent/latest: ' +
        'curl: (28) Connection timed out [DOWNLOAD_FAILED]\n' +
        'pipeops-agent: hint: Check that the address exists and that this machine reaches it ' +
        '(no proxy is set here: behind one, export HTTPS_PROXY and use sudo --preserve-env=HTTPS_PROXY sh)\n',
    });
  });

  rootTest.each([
    'https://user:password@mirror.test',
    'https://mirror.test/a b',
    'ftp://mirror.test',
    'https://',
    '/srv/mirror',
  ])('says CONFIG_INVALID when PIPEOPS_BASE_URL is "%s"', async (url) => {
    await using setup = await open(shell);
    const env = { PIPEOPS_BASE_URL: url };
    const { exitCode, stderr } = await runInstallSh({ ...setup.run, env });
    expect(exitCode).toBe(3);
    expect(stderr).toContain('[CONFIG_INVALID]\n');
    expect(stderr).not.toContain('password@');
    expect(await setup.machine.files()).toEqual([]);
  });

  rootTest.each(['../../etc', '..', '-1', 'v1/2', '1.2.3 ', '1\n2', '$(id)'])(
    'says CONFIG_INVALID when PIPEOPS_VERSION is "%s"',
    async (version) => {
      await using setup = await open(shell);
      const env = { ...setup.run.env, PIPEOPS_VERSION: version };
      const { exitCode, stderr } = await runInstallSh({ ...setup.run, env });
      expect(exitCode).toBe(3);
      expect(stderr).toContain(`PIPEOPS_VERSION is "${version}", not a version [CONFIG_INVALID]`);
      expect(setup.release.requests).toEqual([]);
      expect(await setup.machine.files()).toEqual([]);
    },
  );

  rootTest.each([
    ['the download', randomBytes(768 * 1024).toString('base64')],
    ['the program', '#'.repeat(1024 * 1024)],
  ])('says DISK_FULL and leaves nothing when there is no room for %s', async (_what, comment) => {
    await using setup = await open(shell, { diskSize: '256k' });
    setup.release.publish('1.2.3', comment);
    const { exitCode, stderr } = await runInstallSh(setup.run);
    expect(exitCode).toBe(4);
    expect(stderr).toContain(': no space left on the disk [DISK_FULL]\n');
    expect(await setup.machine.files()).toEqual([]);
  });
});
