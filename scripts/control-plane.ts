/**
 * The local control plane: `bun scripts/control-plane.ts --listen ADDR:PORT --token-file F
 * [--admin-listen 127.0.0.1:0] [--tls-cert F --tls-key F] [--db FILE] [--dialect JSON]`. Prints one
 * JSON line `{"url", "admin_url"}` when it listens; ends at SIGTERM. `--token T` works too, but
 * others on the machine can read a command line. The dialect (test/support/control-plane/dialect.ts)
 * makes it another control plane: `{"websocket": false}`, `{"gateway": true}`.
 */
import { parseArgs } from 'node:util';
import { startControlPlane } from '../test/support/control-plane/control-plane.ts';
import { Dialect } from '../test/support/control-plane/dialect.ts';

const { values } = parseArgs({
  options: {
    listen: { type: 'string', default: '127.0.0.1:0' },
    'admin-listen': { type: 'string', default: '127.0.0.1:0' },
    token: { type: 'string' },
    'token-file': { type: 'string' },
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
    db: { type: 'string' },
    dialect: { type: 'string', default: '{}' },
  },
});

function address(text: string): { hostname: string; port: number } {
  const at = text.lastIndexOf(':');
  return { hostname: text.slice(0, at), port: Number(text.slice(at + 1)) };
}

const tokenFile = values['token-file'];
const token = values.token ?? (tokenFile && (await Bun.file(tokenFile).text()).trim());
if (token === undefined || token === '') {
  console.error('control-plane: give --token-file FILE or --token TOKEN');
  process.exit(2);
}
const [certFile, keyFile] = [values['tls-cert'], values['tls-key']];
const tls =
  certFile === undefined || keyFile === undefined
    ? undefined
    : { cert: await Bun.file(certFile).text(), key: await Bun.file(keyFile).text() };
const controlPlane = startControlPlane({
  token,
  listen: address(values.listen),
  adminListen: address(values['admin-listen']),
  dialect: Dialect.parse(JSON.parse(values.dialect)),
  ...(tls === undefined ? {} : { tls }),
  ...(values.db === undefined ? {} : { databasePath: values.db }),
});
console.log(JSON.stringify({ url: controlPlane.url, admin_url: controlPlane.adminUrl }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, async () => {
    await controlPlane[Symbol.asyncDispose]();
    process.exit(0);
  });
}
