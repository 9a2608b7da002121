import { expect, test } from 'bun:test';
import { GatewayHelloPayload, gatewaySettings } from '../../../src/protocol/session/gateway.ts';

const settingsOf = (payload: Record<string, unknown>) =>
  gatewaySettings(GatewayHelloPayload.parse(payload));
const USUAL = {
  windowLimitBytes: 1024 * 1024,
  keepAliveMs: 30_000,
  connectionTimeoutMs: 30_000,
  udpFraming: false,
};

test('what a hello leaves out or has in a wrong form has its usual value', () => {
  expect(settingsOf({ use_yamux: true })).toEqual(USUAL);
  expect(
    settingsOf({
      yamux_config: {
        max_stream_window_size: -1,
        keep_alive_interval_seconds: '30s',
        connection_timeout_seconds: 0,
        accept_backlog: 9,
      },
      udp_framing: 'yes',
    }),
  ).toEqual(USUAL);
  expect(settingsOf({ yamux_config: 'none' })).toEqual(USUAL);
});

test('what a hello says counts within our limits', () => {
  const config = (size: number, seconds: number) => ({
    use_yamux: true,
    udp_framing: true,
    yamux_config: {
      max_stream_window_size: size,
      keep_alive_interval_seconds: seconds,
      connection_timeout_seconds: seconds,
    },
  });
  expect(settingsOf(config(512 * 1024, 15))).toEqual({
    windowLimitBytes: 512 * 1024,
    keepAliveMs: 15_000,
    connectionTimeoutMs: 15_000,
    udpFraming: true,
  });
  expect(settingsOf(config(1, 0.001))).toMatchObject({
    windowLimitBytes: 256 * 1024,
    keepAliveMs: 1_000,
    connectionTimeoutMs: 1_000,
  });
  expect(settingsOf(config(4e9, 1e6))).toMatchObject({
    windowLimitBytes: 1024 * 1024,
    keepAliveMs: 300_000,
    connectionTimeoutMs: 120_000,
  });
});
