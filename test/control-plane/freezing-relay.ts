/** A way to a server that turns into a black hole. */

/** Passes bytes on until it is frozen: then it takes everything and passes nothing, without a FIN. */
export function startRelay(targetPort: number) {
  let frozen = false;
  const listener = Bun.listen<{ upstream?: Bun.Socket<undefined>; early: Uint8Array[] }>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open: (client) => {
        client.data = { early: [] };
        void Bun.connect({
          hostname: '127.0.0.1',
          port: targetPort,
          socket: {
            open: (upstream) => {
              client.data.upstream = upstream;
              for (const data of client.data.early) {
                upstream.write(data);
              }
            },
            data: (_upstream, data) => {
              if (!frozen) {
                client.write(data);
              }
            },
          },
        });
      },
      data: (client, data) => {
        if (frozen) {
          return;
        }
        if (client.data.upstream === undefined) {
          client.data.early.push(Uint8Array.from(data));
        } else {
          client.data.upstream.write(data);
        }
      },
    },
  });
  return {
    url: `http://127.0.0.1:${listener.port}`,
    freeze: () => {
      frozen = true;
    },
    thaw: () => {
      frozen = false;
    },
    [Symbol.asyncDispose]: async () => listener.stop(true),
  };
}
