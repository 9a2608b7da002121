/** Commands, results, progress and status over the WebSocket. */
import { expect, test } from 'bun:test';
import type { DataPlane, SessionLink } from '../../../src/control-plane/session/ports.ts';
import {
  CommandResultPayload,
  StatusReportPayload,
} from '../../../src/protocol/session/messages.ts';
import { answerRegister, startFakeController } from '../fake-controller.ts';
import { startSession } from './stand.ts';

const announced = answerRegister({
  features: { supports_commands: true, supports_status_reports: true },
});

test('a command is acknowledged once it is accepted, and a duplicate says so', async () => {
  await using server = startFakeController({ message: announced });
  await using stand = startSession({ url: server.url });
  const peer = await server.peer(0);
  await peer.next('heartbeat');
  const command = { id: 'c-1', type: 'deploy', payload: { name: 'web' } };
  peer.say('command', command);
  peer.say('command', command);
  expect((await peer.next('command_ack')).payload).toEqual({
    id: 'c-1',
    of: 'command',
    outcome: 'accepted',
  });
  expect((await peer.next('command_ack')).payload).toEqual({
    id: 'c-1',
    of: 'command',
    outcome: 'duplicate',
  });
  expect(stand.accepted).toEqual([command]);
});

test('a result is sent until it is kept, also over the next connection', async () => {
  await using server = startFakeController({ message: announced });
  await using stand = startSession({ url: server.url, speed: 10 });
  const peer = await server.peer(0);
  await peer.next('heartbeat');
  peer.say('command', { id: 'c-1', type: 'deploy' });
  await peer.next('command_ack');
  const result = stand.finish('c-1');
  for (let sending = 0; sending < 2; sending += 1) {
    const sent = CommandResultPayload.parse((await peer.next('command_result')).payload);
    expect(sent).toEqual({ id: 'c-1', result });
  }
  peer.terminate();
  const second = await server.peer(1);
  await second.next('command_result');
  // As a newer control plane would say it.
  second.say('command_ack', { id: 'c-1', of: 'result', outcome: 'kept', kept_at: 'now' });
  await stand.until('it is delivered', () => stand.undelivered().length === 0);
});

test('a finished command that is delivered again has its result sent again at once', async () => {
  await using server = startFakeController({ message: announced });
  await using stand = startSession({ url: server.url });
  const peer = await server.peer(0);
  await peer.next('heartbeat');
  peer.say('command', { id: 'c-1', type: 'deploy' });
  await peer.next('command_ack');
  stand.finish('c-1');
  await peer.next('command_result');
  peer.say('command_ack', { id: 'c-1', of: 'result', outcome: 'kept' });
  await stand.until('it is delivered', () => stand.undelivered().length === 0);
  peer.say('command', { id: 'c-1', type: 'deploy' });
  expect((await peer.next('command_result')).payload).toMatchObject({ id: 'c-1' });
});

test('a malformed command with an id is accepted to be answered, one without is not', async () => {
  await using server = startFakeController({ message: announced });
  await using stand = startSession({ url: server.url });
  const peer = await server.peer(0);
  await peer.next('heartbeat');
  peer.say('command', { type: 'deploy' });
  peer.say('command', { id: 'c-2', type: 7, payload: 'x' });
  expect((await peer.next('command_ack')).payload).toMatchObject({ id: 'c-2' });
  expect(stand.accepted).toMatchObject([{ id: 'c-2', type: 'malformed' }]);
});

test('a cancel is acknowledged with what became of it', async () => {
  await using server = startFakeController({ message: announced });
  await using stand = startSession({ url: server.url });
  const peer = await server.peer(0);
  await peer.next('heartbeat');
  peer.say('command_cancel', { id: 'c-9' });
  expect((await peer.next('command_ack')).payload).toEqual({
    id: 'c-9',
    of: 'cancel',
    outcome: 'unknown',
  });
  expect(stand.cancelled).toEqual(['c-9']);
});

test('progress and status reports are sent to a peer that announced them, and on request', async () => {
  await using server = startFakeController({ message: announced });
  await using stand = startSession({ url: server.url });
  const peer = await server.peer(0);
  StatusReportPayload.parse((await peer.next('status_report')).payload);
  peer.say('status_request', {});
  expect((await peer.next('status_report')).payload).toMatchObject({ sequence: 2 });
  const news = {
    id: 'c-1',
    sequence: 1,
    attempt: 1,
    message: '1 of 2 ready',
    timestamp: '2026-01-01T00:00:00Z',
  };
  stand.progress(news);
  expect((await peer.next('command_progress')).payload).toEqual(news);
});

test('a peer that announced nothing gets nothing of ours; REST serves where it is offered', async () => {
  const calls: string[] = [];
  await using server = startFakeController({
    http: async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname.startsWith('/api/v1/agents/')) {
        calls.push(`${request.method} ${pathname}`);
        return pathname.endsWith('/commands')
          ? Response.json({ commands: [{ id: 'r-1', type: 'deploy', payload: {} }] })
          : new Response(null, { status: 204 });
      }
      return undefined;
    },
  });
  await using stand = startSession({ url: server.url });
  await stand.until('the command is accepted', () => stand.accepted.length === 1);
  stand.finish('r-1');
  await stand.until('it is delivered', () => stand.undelivered().length === 0);
  await stand.until('the status is there', () =>
    calls.includes('POST /api/v1/agents/agent-1/status'),
  );
  expect(calls).toContain('POST /api/v1/agents/agent-1/commands/r-1/result');
  expect(calls).not.toContain('POST /api/v1/agents/register');
  const types = new Set(server.peers[0]?.received.map(({ type }) => type));
  expect([...types].sort()).toEqual(['heartbeat', 'register']);
});

test('the data plane has its messages and bytes, and ends with the connection', async () => {
  const seen: unknown[] = [];
  let link: SessionLink | undefined;
  const dataPlane: DataPlane = {
    types: ['gateway_hello'],
    attach: (attached) => {
      link = attached;
      seen.push(['attached', attached.kind, attached.clusterUuid]);
      return {
        message: ({ type }) => {
          seen.push(type);
          attached.send('gateway_hello_ack', { use_yamux: true });
        },
        binary: (data) => {
          seen.push([...data]);
          attached.sendBinary([data]);
        },
        goAway: () => undefined,
        underWay: () => 0,
        close: () => seen.push('closed'),
      };
    },
  };
  await using server = startFakeController();
  await using stand = startSession({ url: server.url, dataPlane });
  const peer = await server.peer(0);
  await peer.next('heartbeat');
  peer.say('gateway_hello', { use_yamux: true });
  await peer.next('gateway_hello_ack');
  const braceFirst = Uint8Array.of(0x7b, 1, 2);
  peer.raw(braceFirst);
  await stand.until('the bytes are there', () => seen.length === 3);
  peer.terminate();
  await stand.until('it is attached anew', () => seen.length === 5);
  expect(seen).toEqual([
    ['attached', 'controller', 'uuid-1'],
    'gateway_hello',
    [...braceFirst],
    'closed',
    ['attached', 'controller', 'uuid-1'],
  ]);
  await stand.until('what it says at once has left', () => link?.bufferedBytes() === 0);
});

test('what the control plane sends right behind its welcome is not lost', async () => {
  const seen: (string | undefined)[] = [];
  const dataPlane: DataPlane = {
    types: ['proxy_request'],
    attach: () => ({
      message: ({ request_id }) => void seen.push(request_id),
      binary: () => undefined,
      goAway: () => undefined,
      underWay: () => 0,
      close: () => undefined,
    }),
  };
  const ids = Array.from({ length: 40 }, (_, index) => `r${index}`);
  await using server = startFakeController({
    message: (peer, message) => {
      answerRegister()(peer, message);
      if (message.type === 'register') {
        for (const id of ids) {
          peer.say('proxy_request', { path: '/x' }, id);
        }
      }
    },
  });
  await using stand = startSession({ url: server.url, dataPlane });
  await stand.until('all are there', () => seen.length === ids.length);
  expect(seen).toEqual(ids);
});
