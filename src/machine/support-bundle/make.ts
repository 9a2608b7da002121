/** Makes a support bundle: one file that tells a stranger what is with this machine, without its secrets. */
import { expectedError } from '../../core/errors.ts';
import { withoutSecrets } from '../../core/text/named-secrets.ts';
import {
  BLOCK_BYTES,
  END_BLOCKS_MIN,
  encodeHeader,
  paddingBytes,
} from '../../host/bundle/tar-entry.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import type { MachineContext } from '../context.ts';
import { type BundleWishes, PARTS, type Part } from './contents.ts';
import { secretsHere } from './secrets.ts';

/** For its owner alone: it tells much of a machine. */
const MODE = 0o600;

export interface SupportBundle {
  readonly file: string;
  readonly size_bytes: number;
  readonly parts: readonly {
    readonly name: string;
    readonly what: string;
    readonly size_bytes: number;
    /** Why it is not in it; null when it is. */
    readonly problem: string | null;
  }[];
}

interface ReadPart {
  readonly part: Part;
  readonly bytes: Uint8Array;
  readonly problem: string | null;
}

/**
 * @param path of the file (`.tar.gz`), which is replaced
 * @throws AgentError FILE_ACCESS, DISK_FULL, INTERRUPTED
 */
export async function makeSupportBundle(
  context: MachineContext,
  path: string,
  wishes: BundleWishes,
): Promise<SupportBundle> {
  const known = await secretsHere(context, wishes.readOfDaemon);
  const progress = await context.progress('Ask this machine');
  const read: ReadPart[] = [];
  for (const part of PARTS) {
    if (context.signal.aborted) {
      progress.fail();
      throw interrupted('while the machine was asked');
    }
    progress.update(part.what);
    read.push(await readPart(context, part, wishes, known));
  }
  progress.done();
  const made = read.filter(({ problem }) => problem === null);
  const about = { name: 'README.txt', bytes: Buffer.from(readme(context, read)) };
  const files = [about, ...made.map(({ part, bytes }) => ({ name: part.name, bytes }))];
  const packed = await gzip(tarOf(files, Math.floor(context.clock.now().getTime() / 1_000)));
  await context.files.writeAtomic(path, packed, { mode: MODE });
  return {
    file: path,
    size_bytes: packed.length,
    parts: read.map(({ part: { name, what }, bytes, problem }) => ({
      name,
      what,
      size_bytes: bytes.length,
      problem,
    })),
  };
}

async function readPart(
  context: MachineContext,
  part: Part,
  wishes: BundleWishes,
  known: readonly string[],
): Promise<ReadPart> {
  try {
    const text = await part.read(context, wishes);
    return text === undefined
      ? { part, bytes: new Uint8Array(), problem: 'there is none on this machine' }
      : { part, bytes: cut(Buffer.from(withoutSecrets(text, known)), part), problem: null };
  } catch (thrown) {
    const { message } = expectedError(thrown);
    return { part, bytes: new Uint8Array(), problem: withoutSecrets(message, known) };
  }
}

/** The newest of a journal, the first of anything else; whole lines. */
function cut(bytes: Buffer, { name, limitBytes }: Part): Uint8Array {
  if (bytes.length <= limitBytes) {
    return bytes;
  }
  if (name.endsWith('.log')) {
    const rest = bytes.subarray(bytes.length - limitBytes);
    return rest.subarray(rest.indexOf('\n') + 1);
  }
  const rest = bytes.subarray(0, limitBytes);
  return rest.subarray(0, rest.lastIndexOf('\n') + 1);
}

function readme({ hostname, clock }: MachineContext, read: readonly ReadPart[]): string {
  const lines = read.map(({ part, problem }) =>
    problem === null
      ? `${part.name.padEnd(18)} ${part.what}`
      : `${part.name.padEnd(18)} not in here: ${problem}`,
  );
  return (
    `Support bundle of pipeops-agent on ${hostname}, ${clock.now().toISOString()}\n\n` +
    `${lines.join('\n')}\n\n` +
    'Secrets are taken out: those of this machine, what looks like one, and what stands behind the name of\n' +
    'one. It tells names, addresses, versions, and what programs have logged. Look at it before you send it.\n'
  );
}

function tarOf(
  files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  modifiedAt: number,
): Uint8Array<ArrayBuffer> {
  const pieces = files.flatMap(({ name, bytes }) => [
    encodeHeader({ name, sizeBytes: bytes.length, isProgram: false, modifiedAt }),
    bytes,
    new Uint8Array(paddingBytes(bytes.length)),
  ]);
  return Buffer.concat([...pieces, new Uint8Array(END_BLOCKS_MIN * BLOCK_BYTES)]);
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
