import { expect, test } from 'bun:test';
import { CHANGED_MAX, changedCommands } from '../../../src/daemon/realtime/changed-commands.ts';

test('changes are remembered once each, and only while somebody wants them', () => {
  const changed = changedCommands();
  changed.note('before');
  changed.want(true);
  for (const id of ['a', 'b', 'a']) {
    changed.note(id);
  }
  expect(changed.take()).toEqual({ ids: ['a', 'b'], isWhole: true });
  expect(changed.take()).toEqual({ ids: [], isWhole: true });
  changed.note('c');
  changed.want(false);
  changed.note('after');
  expect(changed.take()).toEqual({ ids: [], isWhole: true });
});

test('of too many it says that they are not all', () => {
  const changed = changedCommands();
  changed.want(true);
  for (let count = 0; count <= CHANGED_MAX; count += 1) {
    changed.note(`c-${count}`);
  }
  const { ids, isWhole } = changed.take();
  expect([ids.length, isWhole]).toEqual([CHANGED_MAX, false]);
  expect(changed.take().isWhole).toBeTrue();
});
