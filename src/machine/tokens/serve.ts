/**
 * The process that offers programs: runs in a unit of its own, unprivileged, and ends with the token.
 */
import { join } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import { hostAndPort } from '../../core/text/host-and-port.ts';
import { troubleOf } from '../../core/trouble.ts';
import { pollUntil } from '../../core/waiting.ts';
import { isTokenTaken } from '../../host/cluster/join-server.ts';
import { hashOfFile } from '../../host/engine/file-hash.ts';
import { REFUSALS_TO_BELIEVE } from '../../host/k3s/rejection.ts';
import { signedTexts } from '../../host/release/signed-files.ts';
import { OFFER_CREDENTIAL, OFFER_LIMIT_BYTES, Offer } from '../../protocol/files/offer.ts';
import type { Offered } from '../../server/offer/answer.ts';
import { offerDoor } from '../../server/offer/door.ts';
import type { MachineContext } from '../context.ts';

/** How soon the end of the token is noticed. */
const TOKEN_CHECK_MS = 10_000;
/** The unit has an end of its own as well. */
const LIFE_MS_MAX = 8 * 24 * 3_600_000;

/** Serves until the token is taken no more, what it offers was uninstalled, or the signal. @throws AgentError PORT_IN_USE, USAGE */
export async function serveOffer(context: MachineContext): Promise<void> {
  const offer = await readOffer(context);
  const entries = await entriesOf(context, offer);
  const { hostname, port, certificate, key, path } = offer;
  const door = openDoor(context, {
    hostname,
    port,
    certificate: { certificate, key },
    key: path,
    entries,
  });
  const ending = new AbortController();
  const signal = AbortSignal.any([context.signal, ending.signal]);
  const served = door.serveUntil(signal);
  const pace = { everyMs: TOKEN_CHECK_MS, limitMs: LIFE_MS_MAX };
  let refusals = 0;
  await pollUntil(context.clock, pace, context.signal, async () => {
    // A server that does not answer says nothing of the token.
    const isTaken = await isTokenTaken(context, offer.server, offer.ca, offer.token);
    refusals = isTaken === false ? refusals + 1 : 0;
    const isInstalled = (await context.files.stat(offer.agent.file)) !== undefined;
    return refusals >= REFUSALS_TO_BELIEVE || !isInstalled ? { found: true } : { soFar: undefined };
  });
  ending.abort();
  await served;
}

async function readOffer({ env, files }: MachineContext): Promise<Offer> {
  const directory = env['CREDENTIALS_DIRECTORY'];
  const text =
    directory === undefined
      ? undefined
      : await files.readText(join(directory, OFFER_CREDENTIAL), OFFER_LIMIT_BYTES);
  const parsed = text === undefined ? undefined : Offer.safeParse(JSON.parse(text)).data;
  if (parsed === undefined) {
    throw new AgentError('USAGE', 'There is no offer to serve', {
      hint: 'Make one: sudo pipeops-agent token create --serve',
    });
  }
  return parsed;
}

function openDoor(context: MachineContext, options: Parameters<typeof offerDoor>[1]) {
  try {
    return offerDoor(context, options);
  } catch (cause) {
    const at = hostAndPort(options.hostname, options.port);
    throw new AgentError('PORT_IN_USE', `Cannot listen on ${at}: ${troubleOf(cause)}`, {
      hint: 'See who holds it: ss -ltnp; or choose another: --serve-port',
      cause,
    });
  }
}

/** By path. The hashes are of the files as they are now; a file that changes is offered no more. */
async function entriesOf(
  { files, signal }: MachineContext,
  { agent, k3s, release, script }: Offer,
): Promise<ReadonlyMap<string, Offered>> {
  const program = `pipeops-agent-${agent.platform}`;
  const entry = async (file: string) => {
    const sizeBytes = (await files.stat(file))?.size;
    const hash = await hashOfFile(files, file, signal);
    if (sizeBytes === undefined || hash === undefined) {
      throw new AgentError('FILE_ACCESS', `There is no ${file} to offer`, {
        hint: 'Run "sudo pipeops-agent install" on this server again',
      });
    }
    return { offered: { file, sizeBytes }, hash };
  };
  const [ofAgent, ofK3s] = [await entry(agent.file), await entry(k3s.file)];
  const ofRelease = `/k3s/download/${k3s.version}`;
  const signed = release === undefined ? [] : signedTexts(release);
  return new Map<string, Offered>([
    ['/install.sh', { text: script }],
    ['/latest', { text: `${agent.version}\n` }],
    [`/${agent.version}/SHA256SUMS`, { text: `${ofAgent.hash}  ${program}\n` }],
    [`/${agent.version}/${program}`, ofAgent.offered],
    ['/k3s/install.sh', { text: k3s.installer }],
    ...signed.map(([name, text]) => [`/${agent.version}/${name}`, { text }] as const),
    [`${ofRelease}/${k3s.sumsName}`, { text: `${ofK3s.hash}  ${k3s.programName}\n` }],
    [`${ofRelease}/${k3s.programName}`, ofK3s.offered],
  ]);
}
