import { connect } from 'node:net';
import { AgentError } from '../core/errors.ts';
import type { AskSocket } from '../core/ports.ts';
import { troubleOf } from '../core/trouble.ts';

/** The real AskSocket. */
export const systemAskSocket: AskSocket = (path, line, { limitBytes, signal, onLine }) => {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ path });
  let pending = Buffer.alloc(0);
  let received = 0;
  const stop = () => {
    socket.destroy();
    reject(new AgentError('INTERRUPTED', 'The question was interrupted'));
  };
  signal.addEventListener('abort', stop, { once: true });
  socket.on('connect', () => socket.write(`${line}\n`));
  socket.on('data', (bytes: Buffer) => {
    received += bytes.length;
    if (received > limitBytes) {
      socket.destroy();
      reject(unreachable(path, 'its answer is too long'));
      return;
    }
    const parts = Buffer.concat([pending, bytes]).toString('latin1').split('\n');
    pending = Buffer.from(parts.pop() ?? '', 'latin1');
    for (const part of parts) {
      onLine(Buffer.from(part, 'latin1').toString('utf8'));
    }
  });
  socket.on('error', (cause) => reject(unreachable(path, troubleOf(cause), cause)));
  socket.on('close', () => resolve());
  if (signal.aborted) {
    stop();
  }
  return promise.finally(() => signal.removeEventListener('abort', stop));
};

function unreachable(path: string, why: string, cause?: unknown): AgentError {
  return new AgentError('HELPER_UNREACHABLE', `Cannot ask at ${path}: ${why}`, {
    hint: 'See whether systemd listens there: systemctl status pipeops-agent-helper.socket',
    cause,
  });
}
