import { expect, test } from 'bun:test';
import { gzipSync } from 'node:zlib';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { type RawAgent, REGISTER, rawAgent, registeredAgent } from './raw-agent.ts';

const MIB = 1024 * 1024;
const JSON_TYPE = { 'Content-Type': ['application/json'] };

/** As upstream's client frames a large answer where no yamux runs. */
function binaryAnswer(id: string, status: number, headers: unknown, body: Uint8Array) {
  const idBytes = Buffer.from(id);
  const headerBytes = Buffer.from(JSON.stringify(headers));
  const head = Buffer.alloc(2 + idBytes.length + 8);
  head.writeUInt16BE(idBytes.length, 0);
  idBytes.copy(head, 2);
  head.writeUInt32BE(status, 2 + idBytes.length);
  head.writeUInt32BE(headerBytes.length, 6 + idBytes.length);
  return Uint8Array.from(Buffer.concat([head, headerBytes, body]));
}

/** What an admin gets when the agent answers so. */
async function answered(answer: (agent: RawAgent, id: string) => void) {
  await using controlPlane = startControlPlane({ token: 'token' });
  await using agent = await registeredAgent(controlPlane);
  const asked = ask(controlPlane);
  const { request_id: id = '' } = await agent.next('proxy_request');
  answer(agent, id);
  const response = await asked;
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
}

const ask = (controlPlane: ControlPlane, init: RequestInit = {}) =>
  fetch(`${controlPlane.adminUrl}/admin/agents/one/proxy/api/v1/pods`, init);

const text = Buffer.from(JSON.stringify({ items: Array(100_000).fill('pod') }));
const noise = crypto.getRandomValues(new Uint8Array(60_000));
const archive = gzipSync(noise);

test.each([
  ['as it is', 200, { 'Content-Type': ['image/png'] }, noise, noise],
  ['compressed on its way', 200, JSON_TYPE, gzipSync(text), text],
  ['that is a gzip file', 200, { 'Content-Type': ['application/gzip'] }, archive, archive],
  ['without headers', 404, null, noise, noise],
  ['of status 0', 0, null, noise, noise],
  ['without a body', 204, {}, Buffer.alloc(0), Buffer.alloc(0)],
])(
  'a large answer in one binary message arrives whole: %s',
  async (_, status, headers, sent, body) => {
    const got = await answered((agent, id) =>
      agent.sendBinary(binaryAnswer(id, status, headers, sent)),
    );
    expect(got).toEqual({ status: status || 200, body: Buffer.from(body) });
  },
);

test('an answer that its application compressed stays so, as its header says', async () => {
  const headers = { ...JSON_TYPE, 'Content-Encoding': ['gzip'] };
  const got = await answered((agent, id) =>
    agent.sendBinary(binaryAnswer(id, 200, headers, gzipSync(text))),
  );
  expect(got.body).toEqual(text); // fetch undoes the one coding that the header names.
});

test('an answer of JSON with a compressed body is unpacked', async () => {
  const body = gzipSync(text).toString('base64');
  const got = await answered((agent, id) =>
    agent.send('proxy_response', { status: 200, headers: JSON_TYPE, body, encoding: 'gzip' }, id),
  );
  expect(got).toEqual({ status: 200, body: text });
});

test('an answer that ends without a head is a bad gateway, and not a wait', async () => {
  const got = await answered((agent, id) => agent.send('proxy_response_end', {}, id));
  expect(got.status).toBe(502);
});

test.each([
  ['nothing', new Uint8Array(0)],
  ['an id that is longer than all', Uint8Array.of(0, 9, 1)],
  ['headers that are no JSON', Uint8Array.from(binaryAnswer('p1', 200, 1, Buffer.alloc(0)))],
])('a binary message that cannot be read is named, and the session lives: %s', async (_, bytes) => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await using agent = await registeredAgent(controlPlane);
  agent.sendBinary(bytes);
  agent.send('ping', {});
  await agent.next('pong');
  expect(controlPlane.store.problems('one')).toEqual([expect.stringContaining('a binary message')]);
});

test('what an agent leaves unanswered at its stop is asked of the one that comes back', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  const before = await registeredAgent(controlPlane);
  const refused = ask(controlPlane, { method: 'DELETE' });
  const { request_id: id = '' } = await before.next('proxy_request');
  const lost = ask(controlPlane);
  await before.next('proxy_request');
  const refusal = { error: 'The agent is stopping', code: 'SHUTTING_DOWN' };
  before.send('proxy_error', refusal, id);
  before.send('ping', {});
  await before.next('pong');
  const later = ask(controlPlane, { method: 'HEAD' });
  await before[Symbol.asyncDispose]();

  await using after = await registeredAgent(controlPlane);
  const methods: unknown[] = [];
  for (const _ of [1, 2, 3]) {
    const { request_id = '', payload } = await after.next('proxy_request');
    methods.push(payload['method']);
    after.send('proxy_response', { status: 200, headers: {}, body: '' }, request_id);
  }
  expect(methods.sort()).toEqual(['DELETE', 'GET', 'HEAD']);
  const answers = await Promise.all([refused, lost, later]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
});

test('what an agent may have done already is not asked again', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  const before = await registeredAgent(controlPlane);
  const asked = ask(controlPlane, { method: 'DELETE' });
  await before.next('proxy_request');
  await before[Symbol.asyncDispose]();
  expect((await asked).status).toBe(502);
});

test('an agent without windows takes an upload of any size, and hears of no window', async () => {
  await using controlPlane = startControlPlane({ token: 'token' });
  await using agent = await rawAgent(controlPlane);
  const features = { ...REGISTER.features, supports_flow_control: false };
  agent.send('register', { ...REGISTER, features }, 'req_1_one');
  await agent.next('register_success');
  const asked = ask(controlPlane, { method: 'POST', body: new Uint8Array(3 * MIB) });
  const { request_id: id = '' } = await agent.next('proxy_request');
  let bytes = 0;
  while (bytes < 3 * MIB) {
    const { payload } = await agent.next('proxy_request_chunk');
    bytes += Buffer.from(String(payload['data']), 'base64').length;
  }
  await agent.next('proxy_request_stream_end');
  agent.sendBinary(binaryAnswer(id, 200, JSON_TYPE, gzipSync(text)));
  const response = await asked;
  expect(Buffer.from(await response.arrayBuffer())).toEqual(text);
});
