/** The whole daemon against a control plane that sends what it must not, over both transports. */
import { describe, expect, test } from 'bun:test';
import { MANIFEST_LIMIT_BYTES } from '../../src/protocol/commands/apply.ts';
import { MESSAGE_LIMIT_BYTES } from '../../src/protocol/session/messages.ts';
import { answerRegister, startFakeController } from '../control-plane/fake-controller.ts';
import { startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { startDaemon } from './running-daemon.ts';

const TIMEOUT_MS = 30_000;
const AGENT_ID = 'agent-1';
const FEATURES = { supports_commands: true };

const WEB = { name: 'web', image: 'example/web:1' };
const manifest = (bytes: number) => {
  const text = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\n#';
  return text + 'x'.repeat(bytes - text.length);
};

/** What is wrong, the command, and the code that it is answered with. */
const BAD_COMMANDS: readonly (readonly [string, string, unknown, string])[] = [
  ['an unknown type', 'teleport', {}, 'COMMAND_UNSUPPORTED'],
  ['a type that is a property of every object', 'constructor', {}, 'COMMAND_UNSUPPORTED'],
  ['no payload', 'deploy', undefined, 'COMMAND_INVALID'],
  ['a payload that is a list', 'deploy', [WEB], 'COMMAND_INVALID'],
  ['a payload that lacks a field', 'deploy', { name: 'web' }, 'COMMAND_INVALID'],
  ['a field of another type', 'deploy', { ...WEB, replicas: 'two' }, 'COMMAND_INVALID'],
  ['a field that there is not', 'deploy', { ...WEB, replica: 2 }, 'COMMAND_INVALID'],
  ['a number out of its range', 'deploy', { ...WEB, replicas: -1 }, 'COMMAND_INVALID'],
  ['a name that is not of RFC 1123', 'deploy', { ...WEB, name: 'Web_1' }, 'COMMAND_INVALID'],
  ['a name that is a path', 'delete', { kind: 'deployment', name: '../x' }, 'COMMAND_INVALID'],
  ['a name that is too long', 'deploy', { ...WEB, name: 'a'.repeat(64) }, 'COMMAND_INVALID'],
  ['a namespace that is no name', 'deploy', { ...WEB, namespace: '-a-' }, 'COMMAND_INVALID'],
  ['a protected namespace', 'deploy', { ...WEB, namespace: 'kube-system' }, 'POLICY_DENIED'],
  [
    'a manifest over its limit',
    'apply',
    { manifest: manifest(MANIFEST_LIMIT_BYTES + 1) },
    'COMMAND_INVALID',
  ],
];

/** What is no message and no list of commands. */
const GARBAGE: readonly (readonly [string, string])[] = [
  ['an empty one', ' '],
  ['no JSON', '<html>not the control plane</html>'],
  ['one that is cut off', '{"type":"command","commands":[{"id":"cut","ty'],
  ['one of another type', '{"type":7,"commands":7}'],
  ['a list', '[[]]'],
  ['one that is too deep', `{"type":"command","commands":${'['.repeat(100_000)}`],
];

describe.each(['websocket', 'rest'] as const)('over %s', (transport) => {
  test.each(BAD_COMMANDS)('%s is answered with its code, once', async (_, type, payload, code) => {
    await using daemon = await daemonAt(transport);
    await daemon.command({ id: 'bad', type, payload });
    const result = await daemon.result('bad');
    expect([result['success'], result['error_code']]).toEqual([false, code]);
    expect(String(result['error'])).not.toBe('');
    const failures = daemon.log.filter((line) => line.includes('command failed'));
    expect(failures.map((line) => line.includes(code))).toEqual([true]);
    await daemon.serves();
    expect(daemon.kubernetesWrites()).toEqual([]);
  });

  test.each(GARBAGE)('%s ends nothing, and is logged once', async (_, text) => {
    await using daemon = await daemonAt(transport);
    await daemon.raw(text);
    await daemon.serves();
    expect(daemon.troubles()).toHaveLength(transport === 'rest' && text === ' ' ? 0 : 1);
  });

  test('one over the limit is refused, logged once, and the session goes on', async () => {
    await using daemon = await daemonAt(transport);
    await daemon.raw(JSON.stringify({ type: 'ping', x: 'x'.repeat(MESSAGE_LIMIT_BYTES) }));
    await daemon.connections(transport === 'rest' ? 0 : 2);
    await daemon.serves();
    expect(daemon.troubles()).toHaveLength(1);
  });

  test('an entry without an id stops none of the others', async () => {
    await using daemon = await daemonAt(transport);
    await daemon.command({ type: 'get_resources', payload: {} });
    await daemon.serves();
    expect(daemon.troubles()).toHaveLength(1);
  });
});

/** The daemon, with a session, and the wire to it. */
async function daemonAt(transport: 'websocket' | 'rest') {
  const directory = await tempDirectory();
  const kubernetes = await startFakeKubernetes();
  const bodies: string[] = [];
  const results: { readonly id: string; readonly result: Record<string, unknown> }[] = [];
  let asked = 0;
  const server = startFakeController({
    http: async (request) => {
      const { pathname } = new URL(request.url);
      const id = /\/commands\/([^/]+)\/result$/.exec(pathname)?.[1];
      if (request.headers.has('upgrade') && transport === 'websocket') {
        return undefined;
      }
      if (id !== undefined) {
        results.push({ id, result: (await request.json()) as Record<string, unknown> });
      }
      if (transport === 'rest' && pathname.endsWith('/commands')) {
        asked += 1;
        return new Response(bodies.shift() ?? '{"commands":[]}');
      }
      return new Response(null, { status: transport === 'rest' ? 204 : 404 });
    },
    message: (peer, message) => {
      answerRegister({ features: FEATURES })(peer, message);
      if (message.type === 'command_result') {
        const { id, result } = message.payload as (typeof results)[number];
        results.push({ id, result });
        peer.say('command_ack', { id, of: 'result', outcome: 'kept' });
      }
    },
  });
  const { log, stop } = await startDaemon(directory.path, {
    kubernetes,
    credentials: { 'control-plane-token': 'a-token\n' },
    config: configOf(server.url, transport),
  });
  const live = () => server.peers.findLast(({ closeCode }) => closeCode === undefined);
  const until = (what: string, condition: () => boolean) =>
    waitUntil(what, TIMEOUT_MS, async () => condition());
  const heartbeats = () => live()?.received.some(({ type }) => type === 'heartbeat') === true;
  await until('there is a session', () => (transport === 'rest' ? asked > 0 : heartbeats()));
  const raw = async (text: string) => {
    if (transport === 'rest') {
      bodies.push(text);
      await until('it was fetched', () => bodies.length === 0);
    } else {
      live()?.raw(text);
    }
  };
  const command = (entry: Record<string, unknown>) =>
    transport === 'rest'
      ? raw(JSON.stringify({ commands: [entry] }))
      : raw(JSON.stringify({ type: 'command', payload: entry, timestamp: '' }));
  const result = async (id: string) => {
    await until(`${id} is answered`, () => results.some((each) => each.id === id));
    const found = results.filter((each) => each.id === id);
    expect(found).toHaveLength(1);
    return found[0]?.result ?? {};
  };
  return {
    log,
    raw,
    command,
    result,
    /** So many WebSockets there were. */
    connections: (count: number) =>
      until(`connection ${count} is made`, () => server.peers.length === count),
    /** A good command after all that is done as ever. */
    serves: async () => {
      await until('a session is up', () => transport === 'rest' || heartbeats());
      await command({ id: 'good', type: 'get_resources', payload: {} });
      expect((await result('good'))['success']).toBe(true);
    },
    /** Lines of the log that tell of trouble with the control plane. */
    troubles: () =>
      log.filter((line) => / (warn|error) /.test(line) && /control plane|session/.test(line)),
    kubernetesWrites: () =>
      kubernetes.requests.filter((line) =>
        /^(PATCH|PUT|DELETE) .*\/(default|kube-system)/.test(line),
      ),
    [Symbol.asyncDispose]: async () => {
      await stop();
      await server[Symbol.asyncDispose]();
      await kubernetes[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

const configOf = (url: string, transport: 'websocket' | 'rest') => `agent: {id: ${AGENT_ID}}
http: {port: 0, tls_port: 0}
control_plane:
  url: "${url}"
  transport: ${transport}
  heartbeat_interval: 1s
  poll_interval: 500ms
`;
