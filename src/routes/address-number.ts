import { type IpRange, ipRange } from '../core/ip-range.ts';

/** An address, the same in each way to write it. */
export function addressNumber({ version, first }: Pick<IpRange, 'version' | 'first'>): string {
  return `${version} ${first}`;
}

/** Of one address; undefined where the text is none. */
export function numberOfAddress(text: string): string | undefined {
  const range = text.includes('/') ? undefined : ipRange(text);
  return range && addressNumber(range);
}
