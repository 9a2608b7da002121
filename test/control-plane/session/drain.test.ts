/** The agent leaves a connection that works: at its stop, and for a gateway that is back. */
import { describe, expect, test } from 'bun:test';
import { DRAIN_MS } from '../../../src/control-plane/websocket/conversation.ts';
import type { Clock } from '../../../src/core/ports.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { answerRegister, startFakeController } from '../fake-controller.ts';
import { heldPlane } from '../held-plane.ts';
import { startSession } from './stand.ts';

describe('at the stop of the agent', () => {
  test('a request that is under way is answered before the connection is closed with 1001', async () => {
    const plane = heldPlane();
    await using server = startFakeController();
    const stand = startSession({ url: server.url, dataPlane: plane.dataPlane });
    const peer = await server.peer(0);
    await peer.next('heartbeat');
    peer.say('proxy_request', {}, 'r-1');
    await stand.until('it is under way', () => plane.count() === 1);
    const stopped = stand[Symbol.asyncDispose]();
    await stand.until('nothing new is taken', () => plane.events.includes('controller goes away'));
    peer.say('ping', {}, 'still-here');
    expect((await peer.next('pong')).request_id).toBe('still-here');
    plane.answer(plane.links[0]);
    expect((await peer.next('proxy_response')).request_id).toBe('r-1');
    await stopped;
    await stand.until('it is closed', () => peer.closeCode !== undefined);
    expect([peer.closeCode, plane.events]).toEqual([
      1001,
      ['controller attached', 'controller goes away', 'controller closed'],
    ]);
  });

  test('with nothing under way it is over at once', async () => {
    await using server = startFakeController();
    const stand = startSession({ url: server.url, dataPlane: heldPlane().dataPlane });
    await (await server.peer(0)).next('heartbeat');
    const at = stand.clock.monotonic();
    await stand[Symbol.asyncDispose]();
    expect(stand.clock.monotonic() - at).toBeLessThan(DRAIN_MS / 2);
  });

  test('what does not end by itself is given up after the drain', async () => {
    const plane = heldPlane();
    await using server = startFakeController();
    const stand = startSession({ url: server.url, speed: 20, dataPlane: plane.dataPlane });
    const peer = await server.peer(0);
    await peer.next('heartbeat');
    peer.say('proxy_request', {}, 'watch');
    await stand.until('it is under way', () => plane.count() === 1);
    const at = stand.clock.monotonic();
    await stand[Symbol.asyncDispose]();
    expect(stand.clock.monotonic() - at).toBeGreaterThanOrEqual(DRAIN_MS);
    await stand.until('it is closed', () => peer.closeCode === 1001);
  });
});

test('a gateway that is back serves before the controller is left, where what is under way ends', async () => {
  let isAway = true;
  const plane = heldPlane();
  const server: ReturnType<typeof startFakeController> = startFakeController({
    http: (request) =>
      isAway && new URL(request.url).pathname === '/ws'
        ? new Response('', { status: 404 })
        : undefined,
    message: (peer, message) => answerRegister({ gateway_ws_url: server.url })(peer, message),
  });
  await using _server = server;
  // The minutes for which the gateway is left alone are none here.
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => systemClock.sleep(ms >= 60_000 ? 500 : ms, signal),
  };
  await using stand = startSession({ url: server.url, clock, dataPlane: plane.dataPlane });
  const controller = await server.peer(1); // The first one found no gateway.
  await controller.next('heartbeat');
  controller.say('proxy_request', {}, 'r-1');
  await stand.until('it is under way', () => plane.count() === 1);
  isAway = false;
  const gateway = await server.peer(2);
  expect(gateway.path).toBe('/ws');
  plane.answer(plane.links[0]);
  expect((await controller.next('proxy_response')).request_id).toBe('r-1');
  await gateway.next('heartbeat');
  await stand.until('the controller is left', () => controller.closeCode === 1000);
  await stand.until('all of it is over', () => plane.events.includes('controller closed'));
  expect(plane.events).toEqual([
    ...['controller attached', 'gateway attached'],
    ...['controller goes away', 'controller closed'],
  ]);
  expect(stand.state.snapshot()).toMatchObject({ phase: 'connected', transport: 'gateway' });
});
