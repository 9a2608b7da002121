/** What systemd would start for a connection: says who asked, and what. */
import { systemHandedConnection } from '../../src/platform/handed-connection.ts';

const connection = systemHandedConnection;
const peer = connection.peer();
try {
  const line = await connection.readLine({ bytes: 1_000, ms: 2_000 });
  await connection.write(`${JSON.stringify({ peer, line: line ?? null })}\n`);
} catch (thrown) {
  await connection.write(`${JSON.stringify({ failure: String(thrown) })}\n`);
}
process.exit(0);
