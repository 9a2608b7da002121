import type { Socket } from 'node:net';
import { troubleOf } from '../../core/trouble.ts';
import type { ByteStream } from './byte-stream.ts';
import type { DialOptions } from './dial-options.ts';
import { dialSocket } from './socket-dialer.ts';

/** As `dialSocket`, as a stream. */
export async function dialNodeStream(address: URL, options: DialOptions): Promise<ByteStream> {
  return streamOf(await dialSocket(address, options));
}

function streamOf(socket: Socket): ByteStream {
  return {
    start: (handlers) => {
      let failure = '';
      socket.on('data', (chunk: Buffer) => handlers.data(chunk));
      socket.on('drain', () => handlers.drained?.());
      socket.on('error', (error) => {
        failure = troubleOf(error);
      });
      socket.on('close', () => handlers.closed(failure));
    },
    write: (bytes) => {
      socket.write(Buffer.from(bytes));
    },
    unsentBytes: () => socket.writableLength,
    pause: () => {
      socket.pause();
    },
    resume: () => {
      socket.resume();
    },
    end: () => {
      socket.end();
    },
    destroy: () => {
      socket.destroy();
    },
  };
}
