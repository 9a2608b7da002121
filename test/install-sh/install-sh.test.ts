import { describe, expect, test } from 'bun:test';
import { chmod, mkdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import {
  type FakeRelease,
  type Packing,
  parseHandedOver,
  startFakeRelease,
} from './fake-release.ts';
import { openPrivateMachine, type PrivateMachine } from './private-machine.ts';
import { runInstallSh, startInstallSh } from './run-install-sh.ts';
import { findShells } from './shells.ts';
import { type Fetcher, provideTools } from './tools.ts';

/** The machine under the tests decides which build install.sh takes. */
const BUILD = `pipeops-agent-linux-${process.arch}`;
const LINK = '/usr/local/bin/pipeops-agent';
const INSTALLED = [
  '/opt/pipeops-agent',
  '/opt/pipeops-agent/1.2.3',
  '/opt/pipeops-agent/1.2.3/pipeops-agent',
  LINK,
];

/** Mount namespaces need root. */
const rootTest = test.if(process.getuid?.() === 0);

async function readProgram(machine: PrivateMachine, version: string): Promise<string> {
  return readFile(machine.outside(`/opt/pipeops-agent/${version}/pipeops-agent`), 'utf8');
}

/** What install.sh says of the variables of these tests. */
const told = ({ release }: { readonly release: FakeRelease }) =>
  `Variables that are set: PIPEOPS_BASE_URL=${release.baseUrl}\n`;

/** Answers with the first bytes of a download, then with silence; resolves once it is asked. */
function holdDownload(release: FakeRelease, path: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  release.answer(path, () => {
    resolve();
    return new Response(
      new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(4096)) }),
    );
  });
  return promise;
}

for (const shell of findShells()) {
  describe.each<Fetcher>(['curl', 'wget'])(`install.sh in ${shell.name} with %s`, (fetcher) => {
    async function open() {
      await using cleanup = new AsyncDisposableStack();
      const release = cleanup.use(startFakeRelease());
      const machine = cleanup.use(await openPrivateMachine());
      const tools = cleanup.use(await provideTools(shell, { fetcher }));
      release.publish('1.2.3');
      const owned = cleanup.move();
      const run = { machine, shell, tools, env: { PIPEOPS_BASE_URL: release.baseUrl } };
      return { release, machine, run, [Symbol.asyncDispose]: () => owned.disposeAsync() };
    }

    rootTest('places the newest version and runs its install', async () => {
      await using setup = await open();
      const result = await runInstallSh(setup.run);
      expect({ ...result, stdout: parseHandedOver(result.stdout).arguments }).toEqual({
        exitCode: 0,
        stdout: ['install'],
        stderr: `${told(setup)}Downloading pipeops-agent 1.2.3 for linux-${process.arch}\n`,
      });
      expect(await setup.machine.files()).toEqual(INSTALLED);
      expect(await readlink(setup.machine.outside(LINK))).toBe(INSTALLED[2] ?? '');
      expect(await readProgram(setup.machine, '1.2.3')).toBe(setup.release.program());
    });

    rootTest('hands over flags and environment as they are, and no standard input', async () => {
      await using setup = await open();
      const flags = ['--cluster-name', 'two words', '--set=$HOME *', ''];
      const env = {
        ...setup.run.env,
        CLUSTER_NAME: 'two words',
        HTTPS_PROXY: 'http://127.0.0.1:9',
        K3S_TOKEN: 'K10secret::server:secret',
        K3S_URL: 'https://10.0.0.1:6443',
        LC_ALL: 'de_DE.UTF-8',
        LOG_LEVEL: 'debug',
        NODE_TYPE: 'agent',
        PIPEOPS_TOKEN: 'secret',
        PIPEOPS_VERSION: '1.2.3',
      };
      const result = await runInstallSh({ ...setup.run, flags, env });
      expect(parseHandedOver(result.stdout)).toEqual({
        arguments: ['install', ...flags],
        stdin: '/dev/null',
        environment: { PATH: setup.run.tools.path, ...env, PIPEOPS_INSTALL_SH: 'yes' },
      });
    });

    rootTest('tells which of its variables have arrived, and no secret', async () => {
      await using setup = await open();
      const env = {
        ...setup.run.env,
        PIPEOPS_IGNORE_CHECKS: 'swap,memory',
        CLUSTER_NAME: 'production',
        K3S_URL: 'https://user:secret@10.0.0.1:6443',
        LOG_LEVEL: '\u001b[31mred',
        NO_PROXY: '10.0.0.0/8,.internal,*.test',
        PIPEOPS_API_URL: 'https://[fd00::1]:8443',
        K3S_NODE_NAME: '',
        PIPEOPS_TOKEN: 'secret',
        https_proxy: 'http://user:secret@127.0.0.1:9',
        FOREIGN: 'x',
      };
      const { stderr } = await runInstallSh({ ...setup.run, env });
      expect(stderr.split('\n')[0]).toBe(
        `Variables that are set: PIPEOPS_BASE_URL=${setup.release.baseUrl}, ` +
          'PIPEOPS_API_URL=https://[fd00::1]:8443, ' +
          'PIPEOPS_IGNORE_CHECKS=swap,memory, CLUSTER_NAME=production, LOG_LEVEL (not shown), K3S_URL (not shown), ' +
          'NO_PROXY=10.0.0.0/8,.internal,*.test, PIPEOPS_TOKEN (not shown), ' +
          'https_proxy (not shown)',
      );
    });

    rootTest('lets every user run the program when the umask is strict', async () => {
      await using setup = await open();
      const argv = ['/bin/sh', '-c', 'umask 077; exec "$@"', 'sh', ...shell.argv];
      expect((await runInstallSh({ ...setup.run, shell: { ...shell, argv } })).exitCode).toBe(0);
      const modes = INSTALLED.slice(0, 3).map(async (path) => {
        return (await stat(setup.machine.outside(path))).mode & 0o7777;
      });
      expect(await Promise.all(modes)).toEqual([0o755, 0o755, 0o755]);
    });

    rootTest('gives the exit code of the program', async () => {
      await using setup = await open();
      setup.release.publish('1.2.3', '\nexit 42');
      expect((await runInstallSh(setup.run)).exitCode).toBe(42);
    });

    rootTest('asks for no other version when PIPEOPS_VERSION names one', async () => {
      await using setup = await open();
      setup.release.publish('2.0.0');
      const env = { ...setup.run.env, PIPEOPS_VERSION: '1.2.3' };
      expect((await runInstallSh({ ...setup.run, env })).exitCode).toBe(0);
      expect(setup.release.requests).toEqual(['/1.2.3/SHA256SUMS', `/1.2.3/${BUILD}.gz`]);
      expect(await setup.machine.files()).toEqual(INSTALLED);
    });

    rootTest.each<[readonly Packing[], readonly string[], Packing]>([
      [['gz', 'zst', 'xz'], ['zstd', 'xz'], 'zst'],
      [['gz', 'zst', 'xz'], ['xz'], 'xz'],
      [['gz', 'zst', 'xz'], [], 'gz'],
      [['gz', 'xz'], ['zstd', 'xz'], 'xz'],
      [['gz'], ['zstd', 'xz'], 'gz'],
    ])('of a release with %j takes, with the tools %j, %s', async (packings, more, taken) => {
      await using setup = await open();
      await using tools = await provideTools(shell, { fetcher, more });
      setup.release.publish('1.2.3', 'packed', packings);
      expect((await runInstallSh({ ...setup.run, tools })).exitCode).toBe(0);
      // BusyBox brings its own xz.
      const unpacked = shell.toolbox !== undefined && packings.includes('xz') ? 'xz' : taken;
      const expected = taken === 'zst' ? taken : unpacked;
      expect(setup.release.requests.at(-1)).toBe(`/1.2.3/${BUILD}.${expected}`);
      expect(await readProgram(setup.machine, '1.2.3')).toBe(setup.release.program('packed'));
    });

    rootTest.each([
      ['that unpacks it', 'exec zstd -dc "$2"', ['zst']],
      ['that cannot', 'echo "E: unknown compression" >&2; exit 100', ['zst', 'gz']],
      ['that does not know it', 'exec cat "$2"', ['zst', 'gz']],
    ])('without zstd takes a .zst by the helper of an apt %s', async (_, script, taken) => {
      await using directory = await tempDirectory();
      const aptHelper = join(directory.path, 'apt-helper');
      const onlyCat = `[ "$1" = cat-file ] || exit 1; PATH=${dirname(Bun.which('zstd') ?? '')}`;
      await writeFile(aptHelper, `#!/bin/sh\n${onlyCat}\n${script}\n`);
      await using machine = await openPrivateMachine({ aptHelper });
      await using setup = await open();
      setup.release.publish('1.2.3', 'packed', ['gz', 'zst', 'xz']);
      const { exitCode } = await runInstallSh({ ...setup.run, machine });
      expect({ exitCode, requests: setup.release.requests.slice(2) }).toEqual({
        exitCode: 0,
        requests: taken.map((packing) => `/1.2.3/${BUILD}.${packing}`),
      });
      expect(await readProgram(machine, '1.2.3')).toBe(setup.release.program('packed'));
      expect(await machine.files()).toEqual(INSTALLED);
    });

    rootTest('takes the program as it is from a server that has no packed one', async () => {
      await using setup = await open();
      setup.release.publish('1.2.3', 'as it is', []);
      expect((await runInstallSh(setup.run)).exitCode).toBe(0);
      expect(setup.release.requests.at(-1)).toBe(`/1.2.3/${BUILD}`);
      expect(await readProgram(setup.machine, '1.2.3')).toBe(setup.release.program('as it is'));
      setup.release.publish('1.2.4', 'another', []);
      setup.release.answer(`/1.2.4/${BUILD}`, () => new Response('something else'));
      expect((await runInstallSh(setup.run)).stderr).toContain('[DOWNLOAD_CORRUPT]');
    });

    rootTest.each<Packing>(['zst', 'xz'])('checks the hash of a .%s', async (packing) => {
      await using setup = await open();
      await using tools = await provideTools(shell, { fetcher, more: ['zstd', 'xz'] });
      setup.release.publish('1.2.3', '', ['gz', packing]);
      setup.release.answer(`/1.2.3/${BUILD}.${packing}`, () => new Response('something else'));
      const { exitCode, stderr } = await runInstallSh({ ...setup.run, tools });
      expect(exitCode).toBe(6);
      expect(stderr).toContain(`The SHA-256 hash of ${BUILD}.${packing} is not the one in `);
      expect(await setup.machine.files()).toEqual([]);
    });

    rootTest('downloads no program when the same one is installed', async () => {
      await using setup = await open();
      await runInstallSh(setup.run);
      setup.release.requests.length = 0;
      const { stdout, ...result } = await runInstallSh(setup.run);
      const stderr = `${told(setup)}pipeops-agent 1.2.3 is here already\n`;
      expect(result).toEqual({ exitCode: 0, stderr });
      expect(parseHandedOver(stdout).arguments).toEqual(['install']);
      expect(setup.release.requests).toEqual(['/latest', '/1.2.3/SHA256SUMS']);
      expect(await setup.machine.files()).toEqual(INSTALLED);
    });

    rootTest('replaces the installed program when it is damaged', async () => {
      await using setup = await open();
      await runInstallSh(setup.run);
      await writeFile(setup.machine.outside(INSTALLED[2] ?? ''), 'damaged');
      expect((await runInstallSh(setup.run)).exitCode).toBe(0);
      expect(await readProgram(setup.machine, '1.2.3')).toBe(setup.release.program());
    });

    rootTest(
      'runs a newer version and leaves the link to the older one for it to move',
      async () => {
        await using setup = await open();
        await runInstallSh(setup.run);
        const newer = 'newer';
        setup.release.publish('1.3.0-rc.1+build', newer);
        const ran = await runInstallSh(setup.run);
        expect({ ran: ran.exitCode, words: parseHandedOver(ran.stdout).arguments }).toEqual({
          ran: 0,
          words: ['install'],
        });
        expect(await readProgram(setup.machine, '1.2.3')).toBe(setup.release.program());
        expect(await readProgram(setup.machine, '1.3.0-rc.1+build')).toBe(
          setup.release.program(newer),
        );
        expect(await readlink(setup.machine.outside(LINK))).toBe(INSTALLED[2] ?? '');
      },
    );

    rootTest.each([
      [
        ['join', '--token-file', '/root/a file'],
        ['join', '--token-file', '/root/a file'],
      ],
      [
        ['install', '--dry-run'],
        ['install', '--dry-run'],
      ],
      [['--dry-run'], ['install', '--dry-run']],
    ])('runs the subcommand of its first word: %j', async (flags, words) => {
      await using setup = await open();
      const result = await runInstallSh({ ...setup.run, flags });
      expect(parseHandedOver(result.stdout).arguments).toEqual(words);
    });

    rootTest.each([
      [['jion'], 'install, join, upgrade, uninstall, version'],
      [[''], 'install, join, upgrade, uninstall, version'],
      [['pj1.c2VjcmV0.00000000'], '--token-file FILE'],
    ])('downloads nothing for the first word of %j', async (flags, hint) => {
      await using setup = await open();
      const result = await runInstallSh({ ...setup.run, flags });
      expect({ exitCode: result.exitCode, stdout: result.stdout }).toEqual({
        exitCode: 2,
        stdout: '',
      });
      expect(result.stderr).toContain('[UNKNOWN_SUBCOMMAND]\n');
      expect(result.stderr).toContain(hint);
      expect(result.stderr).not.toContain('c2VjcmV0');
      expect(setup.release.requests).toEqual([]);
      expect(await setup.machine.files()).toEqual([]);
    });

    rootTest('upgrades what is installed, and keeps the older program for it', async () => {
      await using setup = await open();
      await runInstallSh(setup.run);
      setup.release.publish('1.3.0', 'newer');
      const ran = await runInstallSh({ ...setup.run, flags: ['upgrade', '--log-level', 'debug'] });
      expect(parseHandedOver(ran.stdout).arguments).toEqual(['install', '--log-level', 'debug']);
      expect(await readProgram(setup.machine, '1.3.0')).toBe(setup.release.program('newer'));
      expect(await readlink(setup.machine.outside(LINK))).toBe(INSTALLED[2] ?? '');
    });

    rootTest.each([
      ['uninstall', '--yes'],
      ['version', '--json'],
    ])('"%s" is done by the installed program, and downloads nothing', async (word, flag) => {
      await using setup = await open();
      await runInstallSh(setup.run);
      setup.release.publish('1.3.0', 'newer');
      setup.release.requests.length = 0;
      const ran = await runInstallSh({ ...setup.run, flags: [word, flag] });
      expect({ ...ran, stdout: parseHandedOver(ran.stdout).arguments }).toEqual({
        exitCode: 0,
        stdout: [word, flag],
        stderr: '',
      });
      expect(setup.release.requests).toEqual([]);
      expect(await setup.machine.files()).toEqual(INSTALLED);
    });

    rootTest.each(['upgrade', 'uninstall', 'version'])(
      '"%s" says NOT_INSTALLED on a bare machine, and downloads nothing',
      async (word) => {
        await using setup = await open();
        expect(await runInstallSh({ ...setup.run, flags: [word] })).toEqual({
          exitCode: 4,
          stdout: '',
          stderr:
            `pipeops-agent: error: Cannot run "${word}": ${LINK} is not on this machine ` +
            '[NOT_INSTALLED]\n' +
            `pipeops-agent: hint: To install it: curl -fsSL ${setup.release.baseUrl}/install.sh | sudo sh\n`,
        });
        expect(setup.release.requests).toEqual([]);
        expect(await setup.machine.files()).toEqual([]);
      },
    );

    rootTest('follows redirects', async () => {
      await using setup = await open();
      const elsewhere = '/1.2.3/pipeops-agent-linux-arm64.gz';
      setup.release.answer('/mirror/1.2.3/SHA256SUMS', () =>
        Response.redirect(`${setup.release.baseUrl}/1.2.3/SHA256SUMS`, 302),
      );
      setup.release.answer(`/mirror/1.2.3/${BUILD}.gz`, () =>
        Response.redirect(`${setup.release.baseUrl}${elsewhere}`, 302),
      );
      const env = {
        PIPEOPS_BASE_URL: `${setup.release.baseUrl}/mirror/`,
        PIPEOPS_VERSION: '1.2.3',
      };
      expect((await runInstallSh({ ...setup.run, env })).exitCode).toBe(0);
      expect(setup.release.requests).toContain(elsewhere);
    });

    rootTest('says DOWNLOAD_FAILED and leaves nothing when the version is not there', async () => {
      await using setup = await open();
      const env = { ...setup.run.env, PIPEOPS_VERSION: '9.9.9' };
      const url = `${setup.release.baseUrl}/9.9.9/SHA256SUMS`;
      const reason = {
        curl: 'curl: (22) The requested URL returned error: 404',
        wget: 'HTTP 404: Not Found',
      };
      expect(await runInstallSh({ ...setup.run, env })).toEqual({
        exitCode: 6,
        stdout: '',
        stderr:
          `Variables that are set: PIPEOPS_VERSION=9.9.9, PIPEOPS_BASE_URL=${setup.release.baseUrl}\n` +
          `pipeops-agent: error: Cannot download ${url}: ${reason[fetcher]} [DOWNLOAD_FAILED]\n` +
          'pipeops-agent: hint: Check that the address exists and that this machine reaches it ' +
          '(no proxy is set: behind one, set HTTPS_PROXY)\n',
      });
      expect(await setup.machine.files()).toEqual([]);
    });

    rootTest('says DOWNLOAD_CORRUPT and leaves nothing when a hash is wrong', async () => {
      await using setup = await open();
      setup.release.answer(`/1.2.3/${BUILD}.gz`, () => new Response('something else'));
      const result = await runInstallSh(setup.run);
      expect(result).toEqual({
        exitCode: 6,
        stdout: '',
        stderr:
          `${told(setup)}Downloading pipeops-agent 1.2.3 for linux-${process.arch}\n` +
          `pipeops-agent: error: The SHA-256 hash of ${BUILD}.gz is not the one in ` +
          `${setup.release.baseUrl}/1.2.3/SHA256SUMS [DOWNLOAD_CORRUPT]\n` +
          'pipeops-agent: hint: Run the same command again; ' +
          'if it stays so, a mirror or a proxy changes downloads\n',
      });
      expect(await setup.machine.files()).toEqual([]);
    });

    rootTest('says DOWNLOAD_CORRUPT when SHA256SUMS does not list the program', async () => {
      await using setup = await open();
      setup.release.answer('/1.2.3/SHA256SUMS', () => new Response('<html>Log in</html>\n'));
      const { exitCode, stderr } = await runInstallSh(setup.run);
      expect(exitCode).toBe(6);
      expect(stderr).toContain('[DOWNLOAD_CORRUPT]');
      expect(await setup.machine.files()).toEqual([]);
    });

    rootTest.each(['<html>', '..', '../../etc', '-1', '', '1'.repeat(65)])(
      'says DOWNLOAD_CORRUPT when the newest version is called "%s"',
      async (text) => {
        await using setup = await open();
        setup.release.answer('/latest', () => new Response(`${text}\n`));
        const { exitCode, stderr } = await runInstallSh(setup.run);
        expect(exitCode).toBe(6);
        expect(stderr).toContain('/latest sent is not a version [DOWNLOAD_CORRUPT]\n');
        expect(setup.release.requests).toEqual(['/latest']);
        expect(await setup.machine.files()).toEqual([]);
      },
    );

    rootTest.each([
      ['SIGINT', 'group'],
      ['SIGHUP', 'group'],
      ['SIGTERM', 'group'],
      ['SIGTERM', 'program'],
    ] as const)(
      'leaves nothing when %s to the %s interrupts the download',
      async (signal, target) => {
        await using setup = await open();
        const asked = holdDownload(setup.release, `/1.2.3/${BUILD}.gz`);
        const started = await startInstallSh(setup.run);
        await asked;
        expect(await setup.machine.files()).not.toEqual([]);
        started.signal(signal, target);
        expect(await started.result).toEqual({
          exitCode: 130,
          stdout: '',
          stderr:
            `${told(setup)}Downloading pipeops-agent 1.2.3 for linux-${process.arch}\n` +
            'pipeops-agent: error: Interrupted [INTERRUPTED]\n' +
            'pipeops-agent: hint: Run the same command again\n',
        });
        expect(await setup.machine.files()).toEqual([]);
      },
    );

    rootTest('says DOWNLOAD_FAILED and leaves nothing when the connection breaks', async () => {
      await using setup = await open();
      const asked = holdDownload(setup.release, `/1.2.3/${BUILD}.gz`);
      const started = await startInstallSh(setup.run);
      await asked;
      await setup.release.stop();
      const { exitCode, stderr } = await started.result;
      expect(exitCode).toBe(6);
      expect(stderr).toContain(`Cannot download ${setup.release.baseUrl}/1.2.3/${BUILD}.gz: `);
      expect(stderr).toContain('[DOWNLOAD_FAILED]\n');
      expect(await setup.machine.files()).toEqual([]);
    });

    rootTest('keeps an empty /opt/pipeops-agent that it did not make', async () => {
      await using setup = await open();
      await mkdir(setup.machine.outside('/opt/pipeops-agent'));
      const env = { ...setup.run.env, PIPEOPS_VERSION: '9.9.9' };
      expect((await runInstallSh({ ...setup.run, env })).exitCode).toBe(6);
      expect(await setup.machine.files()).toEqual(['/opt/pipeops-agent']);
    });

    rootTest('says FILE_ACCESS when a directory stands in the place of the link', async () => {
      await using setup = await open();
      await mkdir(setup.machine.outside(LINK));
      const { exitCode, stderr } = await runInstallSh(setup.run);
      expect(exitCode).toBe(4);
      expect(stderr).toContain(`Cannot place ${LINK}: a directory stands there [FILE_ACCESS]\n`);
    });

    rootTest('replaces a link that leads nowhere', async () => {
      await using setup = await open();
      await symlink('/nonexistent', setup.machine.outside(LINK));
      expect((await runInstallSh(setup.run)).exitCode).toBe(0);
      expect(await setup.machine.files()).toEqual(INSTALLED);
    });

    rootTest('makes the program executable again when somebody changed that', async () => {
      await using setup = await open();
      await runInstallSh(setup.run);
      await chmod(setup.machine.outside(INSTALLED[2] ?? ''), 0o644);
      expect((await runInstallSh(setup.run)).exitCode).toBe(0);
    });
  });
}
