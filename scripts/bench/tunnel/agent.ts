/** Our agent of `bun run bench tunnel`, compiled to an executable: `agent URL`. */
import { readFileSync } from 'node:fs';
import { connectTunnelAgent } from '../../../test/tunnel/tunnel-agent.ts';

const [url = '', caFile] = process.argv.slice(2);
const agent = await connectTunnelAgent(url, {
  ...(caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') }),
});
await agent.closed;
