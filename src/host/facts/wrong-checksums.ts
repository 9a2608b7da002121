import type { Fact } from './fact.ts';

/** flannel's device for the pods of other nodes (VXLAN). */
const DEVICE = '/sys/class/net/flannel.1';

/** UDP packets that came with a wrong checksum since the start; undefined where pods travel otherwise. */
export const wrongChecksums: Fact<number | undefined> = {
  id: 'wrong-checksums',
  read: async ({ files }) =>
    (await files.stat(DEVICE)) === undefined
      ? undefined
      : wrongIn((await files.readText('/proc/net/snmp')) ?? ''),
};

/** A line of names and one of numbers for each protocol (proc_net(5)). */
function wrongIn(text: string): number | undefined {
  const [names = [], numbers = []] = text
    .split('\n')
    .filter((line) => line.startsWith('Udp: '))
    .map((line) => line.split(' '));
  const count = Number(numbers[names.indexOf('InCsumErrors')]);
  return Number.isNaN(count) ? undefined : count;
}
