import { afterEach, beforeEach, expect, test } from 'bun:test';
import { systemAskSocket } from '../../src/platform/ask-socket.ts';
import { failureOf } from '../support/failure-of.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';

const PROGRAM = `${import.meta.dir}/handed-program.ts`;

let directory: TempDirectory;
let socket: string;
let systemd: ReturnType<typeof acceptLikeSystemd>;
beforeEach(async () => {
  directory = await tempDirectory();
  socket = `${directory.path}/helper.sock`;
  systemd = acceptLikeSystemd(socket);
});
afterEach(async () => {
  systemd.stop(true);
  await directory[Symbol.asyncDispose]();
});

/** As systemd does with Accept=yes: a process for each connection, which is its input and output. */
function acceptLikeSystemd(unix: string) {
  return Bun.listen({
    unix,
    socket: {
      open: (accepted) => {
        accepted.pause();
        const { fd } = accepted as unknown as { readonly fd: number };
        const child = Bun.spawn([process.execPath, PROGRAM], { stdin: fd, stdout: fd });
        void child.exited.then(() => accepted.terminate());
      },
      data: () => undefined,
    },
  });
}

async function ask(line: string, limitBytes = 100_000): Promise<readonly unknown[]> {
  const lines: unknown[] = [];
  const signal = AbortSignal.timeout(20_000);
  const onLine = (text: string) => void lines.push(JSON.parse(text));
  await systemAskSocket(socket, line, { limitBytes, signal, onLine });
  return lines;
}

test('the process learns from the kernel who has connected, and reads one line', async () => {
  expect(await ask('what is it? ünïcode')).toEqual([
    { peer: { pid: process.pid, uid: process.getuid?.() }, line: 'what is it? ünïcode' },
  ]);
});

test('a line that is too long is refused', async () => {
  expect(await ask('x'.repeat(5_000))).toEqual([
    { failure: 'AgentError: A request has more than 1000 bytes' },
  ]);
});

test('a connection on which nothing comes is given up', async () => {
  const quiet = Promise.withResolvers<string>();
  await Bun.connect({
    unix: socket,
    socket: { data: (_, bytes) => quiet.resolve(bytes.toString()) },
  });
  expect(JSON.parse(await quiet.promise)).toMatchObject({ line: null });
});

test('an answer that is too long, nobody there, and an interruption are told apart', async () => {
  expect(await failureOf(() => ask('hello', 10))).toMatchObject({
    code: 'HELPER_UNREACHABLE',
    message: `Cannot ask at ${socket}: its answer is too long`,
  });
  systemd.stop(true);
  await directory[Symbol.asyncDispose]();
  expect(await failureOf(() => ask('hello'))).toMatchObject({ code: 'HELPER_UNREACHABLE' });
  const options = { limitBytes: 1, signal: AbortSignal.abort(), onLine: () => undefined };
  expect(await failureOf(() => systemAskSocket(socket, 'hello', options))).toMatchObject({
    code: 'INTERRUPTED',
  });
});
