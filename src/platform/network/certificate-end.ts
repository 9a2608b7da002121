import type { ReadCertificateEnd } from '../../core/ports.ts';

/** Bun's own TLS: Node's would stay in memory for this alone. */
export const systemCertificateEnd: ReadCertificateEnd = async ({ hostname, port }, signal) => {
  const end = Promise.withResolvers<Date>();
  const giveUp = () => end.reject(new Error('it did not answer in time'));
  signal.addEventListener('abort', giveUp, { once: true });
  const connecting = Bun.connect({
    hostname,
    port,
    tls: { rejectUnauthorized: false },
    socket: {
      handshake: (socket) => {
        end.resolve(new Date(socket.getPeerCertificate().valid_to));
      },
      data: () => undefined,
      close: () => end.reject(new Error('it closed the connection')),
      error: (_socket, error) => end.reject(error),
    },
  });
  connecting.catch(end.reject);
  try {
    return await end.promise;
  } finally {
    signal.removeEventListener('abort', giveUp);
    connecting.then(
      (socket) => socket.terminate(),
      () => undefined,
    );
  }
};
