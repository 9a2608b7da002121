import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { failureOf } from '../support/failure-of.ts';
import { commandOf, openEntries, openJournal, resultOf } from '../support/open-journal.ts';
import { tempDirectory } from '../support/temp-dir.ts';

/** Holds work until it is told to do it. */
function manualRunSoon() {
  const work: (() => void)[] = [];
  return { later: (each: () => void) => void work.push(each), turn: () => work.shift()?.() };
}

describe('groupCommit()', () => {
  test('joins the writes of one turn into one commit', async () => {
    using open = openJournal();
    const { journal } = open;
    const outcomes = await Promise.all(['a', 'b', 'c'].map((id) => journal.accept(commandOf(id))));
    expect({ outcomes, commits: journal.commitTimes().count }).toEqual({
      outcomes: ['accepted', 'accepted', 'accepted'],
      commits: 1,
    });
  });

  test('says nothing before it is on the disk', async () => {
    const soon = manualRunSoon();
    using open = openJournal(':memory:', soon.later);
    const accepted = open.journal.accept(commandOf('a'));
    expect(Bun.peek.status(accepted)).toBe('pending');
    expect(openEntries(open.journal)).toEqual([]);
    soon.turn();
    expect(await accepted).toBe('accepted');
  });

  test('is settled when the last of the writes that wait is on the disk', async () => {
    const soon = manualRunSoon();
    using open = openJournal(':memory:', soon.later);
    const accepted = Array.from({ length: 201 }, (_, index) =>
      open.journal.accept(commandOf(`c${index}`)),
    );
    const settled = open.journal.settled();
    soon.turn();
    await accepted[0];
    expect(Bun.peek.status(settled)).toBe('pending');
    soon.turn();
    await settled;
    expect(Bun.peek.status(accepted[200] ?? Promise.reject())).toBe('fulfilled');
  });

  test('leaves what is too much for one commit to the next turn', async () => {
    const soon = manualRunSoon();
    using open = openJournal(':memory:', soon.later);
    const accepted = Array.from({ length: 201 }, (_, index) =>
      open.journal.accept(commandOf(`c${index}`)),
    );
    soon.turn();
    expect(openEntries(open.journal)).toHaveLength(200);
    soon.turn();
    await Promise.all(accepted);
    expect(openEntries(open.journal)).toHaveLength(201);
  });

  test('acknowledges nothing while the disk is full, and goes on when it has room', async () => {
    await using directory = await tempDirectory();
    using open = openJournal(join(directory.path, 'agent.db'));
    const { database, journal } = open;
    await journal.accept(commandOf('before'));
    const { page_count: pages } = database
      .query<{ page_count: number }, []>('PRAGMA page_count')
      .get() ?? { page_count: 0 };
    database.run(`PRAGMA max_page_count = ${pages}`);

    const payload = { text: 'x'.repeat(100_000) };
    const error = await failureOf(() => journal.accept(commandOf('during', { payload })));
    expect({ code: error.code, trouble: journal.trouble()?.code }).toEqual({
      code: 'DISK_FULL',
      trouble: 'DISK_FULL',
    });
    expect(journal.counts()).toEqual({ accepted: 1, running: 0, undelivered: 0 });

    database.run('PRAGMA max_page_count = 100000');
    expect(await journal.accept(commandOf('during', { payload }))).toBe('accepted');
    expect({ trouble: journal.trouble(), counts: journal.counts() }).toEqual({
      trouble: undefined,
      counts: { accepted: 2, running: 0, undelivered: 0 },
    });
  });

  test('counts as on the disk after a commit that failed half-way', async () => {
    using open = openJournal();
    const { journal } = open;
    await journal.accept(commandOf('c1'));
    const begun = journal.begin('c1');
    const unknown = journal.begin('nobody');
    expect((await failureOf(() => unknown)).code).toBe('INTERNAL');
    expect((await failureOf(() => begun)).code).toBe('INTERNAL');
    expect(journal.counts()).toEqual({ accepted: 1, running: 0, undelivered: 0 });
    await journal.finish('c1', resultOf('c1'));
    expect(journal.counts()).toEqual({ accepted: 0, running: 0, undelivered: 1 });
  });
});
