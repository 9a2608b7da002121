/** The journal of systemd by its own protocol (systemd.io, "Native Journal Protocol"). */
import { fstatSync } from 'node:fs';
import { unixDatagrams } from './unix-datagrams.ts';

const JOURNAL_SOCKET = '/run/systemd/journal/socket';
const STANDARD_ERROR = 2;
const NEWLINE = 0x0a;

/** Names and values; a name has capitals, digits and underscores. */
export type JournalFields = readonly (readonly [name: string, value: string])[];

/** @returns whether the journal has it; false where it cannot be sent now, or at all */
export type SendToJournal = (fields: JournalFields) => boolean;

/**
 * Undefined where the journal does not read standard error: then somebody else wants the lines.
 * @param stream $JOURNAL_STREAM, which names what the journal reads (systemd.exec(5)); a child inherits it, also where its
 *   standard error is another one
 */
export function systemJournal(
  stream: string | undefined,
  socketPath = JOURNAL_SOCKET,
  descriptor = STANDARD_ERROR,
): SendToJournal | undefined {
  if (stream === undefined || stream !== streamOf(descriptor)) {
    return undefined;
  }
  const send = unixDatagrams(socketPath);
  return (fields) => send(journalMessage(fields));
}

function streamOf(descriptor: number): string {
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  return `${dev}:${ino}`;
}

function journalMessage(fields: JournalFields): Buffer {
  return Buffer.concat(fields.map(([name, value]) => journalField(name, value)));
}

/** A value of several lines comes with its length, so that none of its lines is taken for a field. */
function journalField(name: string, value: string): Buffer {
  if (!value.includes('\n')) {
    return Buffer.from(`${name}=${value}\n`);
  }
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, bytes, Buffer.from([NEWLINE])]);
}
