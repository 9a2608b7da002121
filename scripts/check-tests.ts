/**
 * A rule of CONTRIBUTING.md, checked: a test waits for conditions, never for time. (That each test
 * expects something is checked while it runs: test/support/each-test-expects.ts.)
 */

import { join } from 'node:path';
import { Glob } from 'bun';

const WAITS_FOR_TIME =
  /\bBun\.sleep(Sync)?\(|\bset(Timeout|Interval)\(|\bscheduler\.wait\(|timers\/promises/g;
const COMMENT = /^\s*(\*|\/\/|\/\*)/;

/** Where time itself is what it is about: how often in each file, and why. */
const MAY: Readonly<Record<string, { readonly times: number; readonly why: string }>> = {
  'test/contracts/recording-player.ts': { times: 1, why: 'a limit' },
  'test/e2e/chaos/live-through.ts': { times: 1, why: 'how long a trouble lasts' },
  'test/e2e/chaos/ready-watch.ts': { times: 1, why: 'asks again and again' },
  'test/e2e/chaos/slow-relay.ts': { times: 1, why: 'delays what it carries' },
  'test/e2e/chaos/traffic.ts': { times: 1, why: 'the pace of the commands' },
  'test/e2e/main-job.test.ts': { times: 1, why: 'how long an outage lasts' },
  'test/e2e/steady-client.ts': { times: 1, why: 'the pace of what it asks' },
  'test/scripts/check-layers.test.ts': { times: 8, why: 'texts that are checked' },
  'test/scripts/check-tests.test.ts': { times: 7, why: 'texts that are checked' },
  'test/server/loopback-door.test.ts': { times: 1, why: 'the pace of the clients' },
  'test/support/control-plane/admin-server.ts': { times: 1, why: 'looks for a condition' },
  'test/support/control-plane/command-channel.ts': { times: 1, why: 'sends again by the clock' },
  'test/support/control-plane/control-plane.ts': { times: 1, why: 'a limit' },
  'test/support/control-plane/conversation.ts': { times: 1, why: 'sends away by the clock' },
  'test/support/control-plane/message-faults.ts': { times: 2, why: 'delays what it carries' },
  'test/support/control-plane/request-faults.ts': { times: 1, why: 'delays what it answers' },
  'test/support/control-plane/wire.ts': { times: 1, why: 'freezes a connection for a while' },
  'test/support/fake-kubernetes.ts': { times: 1, why: 'sends bookmarks by the clock' },
  'test/support/pod-farm.ts': { times: 1, why: 'a cluster that changes all the time' },
  'test/support/scaled-clock.ts': { times: 1, why: 'its turns' },
  'test/support/until.ts': { times: 1, why: 'looks for a condition' },
  'test/vm/host-command.ts': { times: 2, why: 'limits' },
  'test/vm/machine.ts': { times: 1, why: 'a limit' },
  'test/vm/progress.ts': { times: 1, why: 'time is seen to pass' },
  'test/vm/wait-until.ts': { times: 1, why: 'looks for a condition' },
};

export interface TestFile {
  readonly path: string;
  readonly text: string;
}

/** One sentence for each file that waits for time more, or less, often than the list says. */
export function testProblems(
  files: readonly TestFile[],
  allowed: typeof MAY = MAY,
): readonly string[] {
  const found = new Map(files.map(({ path, text }) => [path, linesThatWait(text)]));
  const paths = new Set([...found.keys(), ...Object.keys(allowed)]);
  return [...paths].sort().flatMap((path) => {
    const lines = found.get(path) ?? [];
    const times = allowed[path]?.times ?? 0;
    if (lines.length === times) {
      return [];
    }
    const where = lines.length === 0 ? '' : ` (line ${lines.join(', ')})`;
    return [
      `${path}: ${lines.length} waits for time${where}, ${times} allowed: ` +
        'wait for a condition with test/support/until.ts, or say in scripts/check-tests.ts why not',
    ];
  });
}

function linesThatWait(text: string): readonly number[] {
  return text
    .split('\n')
    .flatMap((line, index) =>
      COMMENT.test(line) ? [] : [...line.matchAll(WAITS_FOR_TIME)].map(() => index + 1),
    );
}

export async function readTests(root: string): Promise<readonly TestFile[]> {
  const files: TestFile[] = [];
  for await (const path of new Glob('test/**/*.ts').scan({ cwd: root })) {
    files.push({ path, text: await Bun.file(join(root, path)).text() });
  }
  return files;
}

if (import.meta.main) {
  const problems = testProblems(await readTests(join(import.meta.dir, '..')));
  for (const problem of problems) {
    console.error(problem);
  }
  process.exit(problems.length === 0 ? 0 : 1);
}
