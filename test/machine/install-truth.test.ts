/** What `install` says in the end is so, and where it fails it says why, at once. On a simulated machine. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { DetailedHealth } from '../../src/protocol/local-api.ts';
import { errorOf, INSTALL, INSTALL_ENV, STANDALONE } from '../support/installation.ts';
import {
  CONTROL_PLANE,
  type SimulatedMachine,
  simulatedMachine,
  unitsIn,
} from '../support/simulated-machine.ts';

const AGENT = 'pipeops-agent.service';
const HEALTH = 'http://agent/api/health/detailed';
/** Far less than `install` would wait for what may still come right. */
const AT_ONCE_MS = 5_000;

/** Nothing was finished here before. */
const BACK = 'To take it back: sudo pipeops-agent install --undo';

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

function failure(ran: Parameters<typeof errorOf>[0]) {
  const { details: _, ...error } = errorOf(ran);
  return error;
}

const install = (words: readonly string[] = INSTALL) => machine.run(words, { env: INSTALL_ENV });

test('install tells no port that the system chooses as a number', async () => {
  const { stdout } = await install([...INSTALL, '--port', '0', '--tls-port', '0']);
  expect(JSON.parse(stdout).ports).toEqual([6443, 10250]);
});

interface Journal {
  /** Lines of each unit; `begin` marks what is there before `install` looks. */
  readonly lines: Record<string, string[]>;
  readonly restarts: Record<string, number>;
}

/** systemd with a journal: a unit that ends after each start, `onLook` at each question about it. */
function loopingUnit(unit: string, onLook: (journal: Journal) => void): Journal {
  const journal: Journal = { lines: { [unit]: [] }, restarts: { [unit]: 0 } };
  const linesOf = (name: string) => journal.lines[name] ?? [];
  const before = machine.programs.get('systemctl');
  expect(before).toBeUndefined();
  machine.programs.set('journalctl', (argv) => {
    if (argv.includes('--show-cursor')) {
      return { stdout: `a line of somebody else\n-- cursor: s=${linesOf(unit).length}` };
    }
    const name = argv.find((word) => word.startsWith('_SYSTEMD_UNIT='))?.split('=')[1] ?? '';
    const cursor = argv.find((word) => word.startsWith('--after-cursor=s='));
    return {
      stdout: linesOf(name)
        .slice(Number(cursor?.split('=').at(-1)))
        .join('\n'),
    };
  });
  machine.programs.set('systemctl', (argv) => {
    const name = argv.at(-1) ?? '';
    const state = machine.units.get(name) ?? 'inactive';
    if (argv[1] === 'show' && argv.some((word) => word.includes('NRestarts')) && name === unit) {
      if (argv.some((word) => word.includes('Result'))) {
        onLook(journal);
      }
      const count = journal.restarts[name] ?? 0;
      return { stdout: `ActiveState=${state}\nResult=exit-code\nNRestarts=${count}` };
    }
    switch (argv[1]) {
      case 'is-active':
        return { exitCode: state === 'active' ? 0 : 3 };
      case 'is-enabled':
        return { exitCode: machine.enabled.has(name) ? 0 : 1 };
      case 'enable':
      case 'reenable':
        for (const each of unitsIn(argv)) {
          machine.enabled.add(each);
        }
        return {};
      case 'show':
        return { stdout: argv.includes('--value') ? state : `ActiveState=${state}\nJob=` };
      case 'start':
      case 'restart':
        for (const each of unitsIn(argv)) {
          machine.units.set(each, each === unit ? 'activating' : 'active');
        }
        if (name === unit && argv[1] === 'restart') {
          onLook(journal); // What it says is there before the restart has failed.
          return START_FAILED;
        }
        return {};
      default:
        return {};
    }
  });
  return journal;
}

const START_FAILED = {
  exitCode: 1,
  stderr:
    'Job for pipeops-agent.service failed because the control process exited with error code.',
};

describe('a start that fails', () => {
  test.each([
    [
      'one line and a hint',
      [
        'pipeops-agent: error: Cannot write /var/lib/x: no space left on the disk [DISK_FULL]',
        'pipeops-agent: hint: Free some space',
      ],
      {
        exitCode: 4,
        code: 'DISK_FULL',
        message: 'The agent did not start: Cannot write /var/lib/x: no space left on the disk',
        hint: `Free some space. ${BACK}`,
      },
    ],
    [
      'several lines',
      [
        'pipeops-agent: error: The configuration has 2 problems:',
        '  - a: is wrong',
        '  - b: is wrong [CONFIG_INVALID]',
      ],
      {
        exitCode: 3,
        code: 'CONFIG_INVALID',
        message:
          'The agent did not start: The configuration has 2 problems:\n  - a: is wrong\n  - b: is wrong',
        hint: `Look at: journalctl -u ${AGENT}. ${BACK}`,
      },
    ],
    [
      'no error of its own',
      ['panic: out of luck', 'goroutine 1'],
      {
        exitCode: 7,
        code: 'TOOL_FAILED',
        message: 'The agent did not start: panic: out of luck',
        hint: `Look at: journalctl -u ${AGENT}. ${BACK}`,
      },
    ],
  ])('of the daemon is told in its own words: %s', async (_, lines, expected) => {
    const journal = loopingUnit(AGENT, ({ lines: all }) => {
      all[AGENT] = ['pipeops-agent: error: of long ago [BUSY]', ...lines];
    });
    journal.lines[AGENT] = ['pipeops-agent: error: of long ago [BUSY]'];
    expect(failure(await install())).toEqual(expected);
  });

  test("of a daemon that says nothing is told in systemd's words", async () => {
    loopingUnit(AGENT, () => undefined);
    expect(failure(await install())).toMatchObject({
      code: 'TOOL_FAILED',
      message: expect.stringContaining('the control process exited'),
    });
  });

  test('of k3s is over after the fifth restart, and told by the line that explains', async () => {
    const journal = loopingUnit('k3s.service', ({ lines, restarts }) => {
      restarts['k3s.service'] = (restarts['k3s.service'] ?? 0) + 1;
      lines['k3s.service']?.push(
        'time="2026-01-01T00:00:00Z" level=info msg="Starting k3s"',
        'time="2026-01-01T00:00:00Z" level=fatal msg="Error: flag \\"bogus\\" is not defined"',
        'See k3s --help',
      );
    });
    journal.lines['k3s.service'] = ['level=fatal msg="of long ago: 401 Unauthorized"'];
    journal.restarts['k3s.service'] = 40;
    const ran = await install();
    expect(failure(ran)).toEqual({
      exitCode: 7,
      code: 'K3S_NOT_READY',
      message: 'k3s did not become ready: Error: flag "bogus" is not defined',
      hint: `Look at: journalctl -u k3s.service. ${BACK}`,
    });
    expect(journal.restarts['k3s.service']).toBe(45);
  }, 20_000);

  test('of k3s on a full disk is over at once, with the path', async () => {
    const line = 'level=error msg="open /var/lib/rancher/k3s/db: no space left on device"';
    const journal = loopingUnit('k3s.service', ({ lines }) => {
      lines['k3s.service'] = [line];
    });
    expect(failure(await install())).toEqual({
      exitCode: 4,
      code: 'DISK_FULL',
      message: 'Cannot start k3s: no space left on the disk of /var/lib/rancher/k3s/db',
      hint: `Free some space there (df -h /var/lib/rancher/k3s/db), then run the same command again. ${BACK}`,
    });
    expect(journal.restarts['k3s.service']).toBe(0);
  });
});

describe('ready means what the summary says', () => {
  /** The daemon's word, changed; @returns how often it was asked to try now */
  function daemonSays(change: (health: DetailedHealth, told: number) => DetailedHealth) {
    const told = { times: 0 };
    machine.web.set(HEALTH, async () => Response.json(change(await machine.health(), told.times)));
    machine.web.set('http://agent/api/session', async () => {
      told.times += 1;
      return Response.json({ phase: 'registering' });
    });
    return told;
  }

  const refused = (health: DetailedHealth): DetailedHealth => ({
    ...health,
    ready: false,
    reasons: [{ code: 'TOKEN_REJECTED', message: 'not accepted' }],
    session: { ...health.session, phase: 'refused' },
  });

  test('a verdict from before the new token is not believed', async () => {
    const told = daemonSays((health, times) => (times === 0 ? refused(health) : health));
    expect((await install()).exitCode).toBe(0);
    expect(told.times).toBe(1);
  });

  test(
    'a verdict about the new token is, at once',
    async () => {
      daemonSays(refused);
      expect(failure(await install())).toMatchObject({
        exitCode: 5,
        code: 'TOKEN_REJECTED',
        message: 'The agent runs, but is not ready: not accepted',
      });
    },
    AT_ONCE_MS,
  );

  test('what a gateway says of a token is not final', async () => {
    daemonSays((health, times) =>
      times > 0 && health.ready && machine.calls.length % 2 === 0
        ? { ...refused(health), session: { ...health.session, phase: 'registering' } }
        : health,
    );
    expect((await install()).exitCode).toBe(0);
  });

  test.each(['DISK_FULL', 'POLICY_INVALID'])(
    '%s is not waited for',
    async (code) => {
      const reasons = [
        { code: 'KUBERNETES_API', message: 'not yet' },
        { code, message: 'Cannot write /var/lib/pipeops-agent/agent.db', hint: 'Look' },
      ];
      daemonSays((health) => ({ ...health, ready: false, reasons }));
      expect(failure(await install())).toMatchObject({
        code,
        message: 'The agent runs, but is not ready: Cannot write /var/lib/pipeops-agent/agent.db',
        hint: `Look. ${BACK}`,
      });
    },
    AT_ONCE_MS,
  );

  test.each([
    [
      'standalone',
      (health: DetailedHealth) => ({
        ...health,
        session: { ...health.session, phase: 'standalone' as const },
      }),
      'TOKEN_REJECTED',
      'it has no control-plane token, and is standalone',
    ],
    [
      'of another version',
      (health: DetailedHealth) => ({ ...health, agent: { ...health.agent, version: '0.0.1' } }),
      'CHECK_FAILED',
      'it runs of version 0.0.1 instead of',
    ],
    [
      'in another role',
      (health: DetailedHealth) => ({
        ...health,
        agent: { ...health.agent, role: 'node' as const },
      }),
      'CHECK_FAILED',
      'it runs in the role node instead of server',
    ],
    [
      'for another cluster',
      (health: DetailedHealth) => ({ ...health, agent: { ...health.agent, cluster_name: 'old' } }),
      'CHECK_FAILED',
      'it runs for the cluster old instead of test',
    ],
    [
      'at another control plane',
      (health: DetailedHealth) => ({
        ...health,
        session: { ...health.session, control_plane: 'https://old.test' },
      }),
      'CHECK_FAILED',
      `it runs at the control plane https://old.test instead of ${CONTROL_PLANE}`,
    ],
  ])(
    'a daemon that is %s is not ready',
    async (_, change, code, message) => {
      daemonSays(change);
      expect(failure(await install())).toMatchObject({
        code,
        message: expect.stringContaining(`The agent runs, but is not ready: ${message}`),
      });
    },
    AT_ONCE_MS,
  );

  test('a token that was taken away is none, and is asked for again', async () => {
    await install();
    await machine.files.remove('/var/lib/pipeops-agent/credentials/control-plane-token');
    const without = await install(STANDALONE);
    expect(JSON.parse(without.stdout).control_plane).toBeNull();
    const token = (await machine.files.readText('/root/token')) ?? '';
    const asked = await machine.run(STANDALONE, { env: INSTALL_ENV, secret: token });
    expect(JSON.parse(asked.stdout).control_plane).toBe(CONTROL_PLANE);
  });

  test('another token alone starts nothing again: the daemon follows it', async () => {
    await install();
    const path = '/var/lib/pipeops-agent/credentials/control-plane-token';
    await machine.files.writeAtomic(path, 'the-one-before\n', { mode: 0o600 });
    const { steps } = JSON.parse((await install()).stdout) as {
      steps: { id: string; changed: boolean }[];
    };
    expect(steps.filter(({ changed }) => changed).map(({ id }) => id)).toEqual([
      'control-plane-token',
    ]);
  });

  test('its time is also that of install.sh, which fetched the program', async () => {
    const summaryOf = async (msBeforeProgram: number, begun = 'yes') => {
      const env = { ...INSTALL_ENV, PIPEOPS_INSTALL_SH: begun };
      return JSON.parse((await machine.run(INSTALL, { env, msBeforeProgram })).stdout);
    };
    const fetched = await summaryOf(60_000);
    expect(fetched.checks[0]).toEqual({ title: 'Fetch the agent', seconds: 60 });
    expect(fetched.seconds).toBeGreaterThan(60);
    const wasHere = await summaryOf(50);
    expect(wasHere.checks[0].title).not.toBe('Fetch the agent');
    expect(wasHere.seconds).toBeLessThan(60);
    // `bash -c 'sleep 60 && pipeops-agent install'` becomes the program, too.
    expect((await summaryOf(60_000, '')).checks[0].title).not.toBe('Fetch the agent');
  });

  test.each([
    'pipeops-agent.service',
    'pipeops-agent-helper.socket',
    'pipeops-agent-snapshots.service',
    'pipeops-agent-k3s-asked.service',
  ])('%s is not in place while systemd has not read it', async (unread) => {
    await install();
    let needsReload = true;
    machine.programs.set('systemctl', (argv) => {
      if (['reenable', 'daemon-reload'].includes(argv[1] ?? '')) {
        needsReload = false;
      }
      const told = argv.slice(2).filter((word) => !word.startsWith('--'));
      const blocks = told.map((unit) => {
        const reload = needsReload && unit === unread ? 'yes' : 'no';
        return `ActiveState=active\nNeedDaemonReload=${reload}\n`;
      });
      return { stdout: argv.includes('--value') ? 'active' : blocks.join('\n') };
    });
    await install();
    expect(needsReload).toBe(false);
  });
});
