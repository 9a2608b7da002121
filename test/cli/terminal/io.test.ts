/** Questions at a real terminal. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { tempDirectory } from '../../support/temp-dir.ts';

const SOURCES = join(import.meta.dir, '../../../src');
/** Asks one question, and tells in a file how that ended. */
const ASKING = `
  import { systemTerminalIo } from '${SOURCES}/cli/terminal/io.ts';
  import { systemClock } from '${SOURCES}/platform/clock.ts';
  process.on('SIGHUP', () => undefined);
  const io = systemTerminalIo({ clock: systemClock }, process);
  const ended = await io.confirm('Restore it?').then(
    (answer) => ({ answer }),
    ({ code, message, hint }) => ({ code, message, hint }),
  );
  await Bun.write(process.argv[1], JSON.stringify(ended));
  process.exit(0);
`;
const HINT = 'Run the same command again: it goes on where it ended';

test.each([
  ['y and Enter', (terminal: Bun.Terminal) => terminal.write('y\r'), { answer: true }],
  ['Enter alone', (terminal: Bun.Terminal) => terminal.write('\r'), { answer: false }],
  [
    'Ctrl-C',
    (terminal: Bun.Terminal) => terminal.write('\u0003'),
    { code: 'INTERRUPTED', message: 'Interrupted at a question', hint: HINT },
  ],
  [
    'a terminal that goes away',
    (terminal: Bun.Terminal) => terminal.close(),
    {
      code: 'INTERRUPTED',
      message: 'Interrupted at a question: the terminal is gone',
      hint: HINT,
    },
  ],
])('a question is answered by %s', async (_, answer, expected) => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'ended');
  const asked = Promise.withResolvers<void>();
  let shown = '';
  const child = Bun.spawn([process.execPath, '-e', ASKING, path], {
    terminal: {
      data: (_terminal, bytes) => {
        shown += new TextDecoder().decode(bytes);
        if (shown.includes('[y/N] ')) {
          asked.resolve();
        }
      },
    },
  });
  await asked.promise;
  answer(child.terminal as Bun.Terminal);
  expect(await child.exited).toBe(0);
  expect(await Bun.file(path).json()).toEqual(expected);
});
