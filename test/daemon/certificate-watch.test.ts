/** When the certificates of k3s end, as its parts on this machine show them. */
import { expect, test } from 'bun:test';
import {
  certificateWatch,
  FIRST_LOOK_MS,
  LOOK_EVERY_MS,
} from '../../src/daemon/certificate-watch.ts';
import { systemCertificateEnd } from '../../src/platform/network/certificate-end.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { makeCertificates } from '../support/tls.ts';
import { until } from '../support/until.ts';

const never = new AbortController().signal;

test('it looks a while after the start and every few hours; what does not answer keeps what was known', async () => {
  const clock = manualClock();
  const asked: number[] = [];
  const first = new Date('2026-05-01T00:00:00Z');
  const second = new Date('2027-05-01T00:00:00Z');
  let endsAt = first;
  const { ends, service } = certificateWatch(
    {
      ...{ clock, random: seededRandom(1), log: memoryLog() },
      certificateEnd: async ({ port }) => {
        asked.push(port);
        if (port === 10250 && endsAt === second) {
          throw new Error('it refuses connections');
        }
        return endsAt;
      },
    },
    'server',
  );
  const stop = new AbortController();
  const { done } = await service.start(stop.signal);
  const lookAfter = async (ms: number, count: number) => {
    clock.advance(ms);
    const isOver = () => asked.length === count && clock.remainingMs().length === 1;
    await until(`${count} were asked`, isOver);
  };
  expect(ends()).toEqual([]);
  await lookAfter(FIRST_LOOK_MS, 2);
  const kubelet = { of: 'kubelet', endsAt: first };
  expect(ends()).toEqual([{ of: 'Kubernetes API', endsAt: first }, kubelet]);
  endsAt = second;
  await lookAfter(LOOK_EVERY_MS * 1.1, 4);
  expect(ends()).toEqual([{ of: 'Kubernetes API', endsAt: second }, kubelet]);
  expect(asked).toEqual([6443, 10250, 6443, 10250]);
  stop.abort();
  await done;
});

test('the end is read from the certificate that a server shows, whoever has signed it', async () => {
  const { cert, key } = await makeCertificates(['127.0.0.1']);
  const server = Bun.serve({ port: 0, tls: { cert, key }, fetch: () => new Response('') });
  const address = { hostname: '127.0.0.1', port: server.port ?? 0 };
  const { X509Certificate } = await import('node:crypto');
  expect(await systemCertificateEnd(address, never)).toEqual(
    new Date(new X509Certificate(cert).validTo),
  );
  await server.stop(true);
  await expect(systemCertificateEnd(address, never)).rejects.toThrow();
});

test('a server that says nothing is given up at the signal', async () => {
  const mute = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  const stop = new AbortController();
  const reading = systemCertificateEnd({ hostname: '127.0.0.1', port: mute.port }, stop.signal);
  stop.abort();
  await expect(reading).rejects.toThrow('it did not answer in time');
  mute.stop(true);
});
