/**
 * The key that opens snapshots: `psk1.<base64url of 32 bytes>.<8 hex checksum>`. The checksum finds a
 * mistake of who has written it down.
 */
import { AgentError } from '../../core/errors.ts';

export const SNAPSHOT_KEY_BYTES = 32;
const PREFIX = 'psk1';
const KEY_ID_LENGTH = 16;

export function encodeSnapshotKey(key: Uint8Array): string {
  const body = Buffer.from(key).toString('base64url');
  return `${PREFIX}.${body}.${checksum(body)}`;
}

/** @throws AgentError USAGE; the text is not repeated */
export function decodeSnapshotKey(text: string): Uint8Array {
  const [prefix, body = '', sum, ...rest] = text.trim().split('.');
  const key = Buffer.from(body, 'base64url');
  if (
    prefix !== PREFIX ||
    rest.length > 0 ||
    key.length !== SNAPSHOT_KEY_BYTES ||
    sum !== checksum(body)
  ) {
    throw new AgentError('USAGE', 'This is no key of snapshots, or a part of it is missing', {
      hint: 'It is one line that begins with "psk1.": sudo pipeops-agent snapshot key, where it was made',
    });
  }
  return key;
}

/** By which a snapshot names its key without telling it. */
export function snapshotKeyId(key: Uint8Array): string {
  return sha256(key).slice(0, KEY_ID_LENGTH);
}

function checksum(body: string): string {
  return sha256(body).slice(0, 8);
}

function sha256(data: string | Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(data).digest('hex');
}
