/**
 * `token create --serve`: this server offers what a machine needs to join, to who holds the token
 * (docs/decisions/0031-offer.md).
 */
import { createHmac, X509Certificate } from 'node:crypto';
import { basename, dirname } from 'node:path';
import type { Config } from '../../config/schema.ts';
import { errorInLines } from '../../core/error-text.ts';
import { AgentError } from '../../core/errors.ts';
import { K3S_EXECUTABLE } from '../../core/k3s-places.ts';
import { hostAndPort } from '../../core/text/host-and-port.ts';
import { pollUntil, within } from '../../core/waiting.ts';
import { offeredJoinLine } from '../../host/cluster/join-line.ts';
import type { CreatedJoinToken } from '../../host/cluster/join-tokens.ts';
import { activeState, lastJournalLines, systemctl } from '../../host/engine/systemctl.ts';
import type { K3sOrigin } from '../../host/k3s/origin.ts';
import { installedK3sVersion } from '../../host/k3s/program.ts';
import { k3sArchitecture, programName, sumsName } from '../../host/k3s/release-places.ts';
import { OFFER_CREDENTIAL, type Offer } from '../../protocol/files/offer.ts';
import { decodeJoinToken } from '../../protocol/secrets/join-token.ts';
import { selfSignedCertificate } from '../../server/self-signed-certificate.ts';
import type { MachineContext } from '../context.ts';
import type { Downloads } from '../outbound.ts';
import { signaturesOf } from '../release.ts';
import { type OfferingAddress, offeringAddress } from './offering-address.ts';
import { offerScript } from './script.ts';

const START_TIMEOUT_MS = 30_000;
const LOOK_INTERVAL_MS = 250;
const ASK_TIMEOUT_MS = 5_000;
/** A clock that is a little behind must not find the certificate invalid. */
const CLOCK_SLACK_MS = 24 * 3_600_000;
const SERIAL_BYTES = 16;
const KEY_LENGTH = 40;
const FAILURE_LINES = 5;

export interface StartedOffer {
  /** The whole line for the new machine: secret, as it holds the token. */
  readonly line: string;
  /** Where it listens. */
  readonly address: string;
  readonly unit: string;
}

export interface OfferWishes {
  readonly port: number;
  /** Where the programs came from, for what is not kept here. */
  readonly downloads: Pick<Downloads, 'http'> & { readonly origin: Pick<K3sOrigin, 'installer'> };
  readonly config: Config;
}

/**
 * Starts the unit that offers program, k3s and install.sh until the token ends.
 * @param created the token; the secret path of the offer is made of it
 * @throws AgentError HOST_UNSUPPORTED, DOWNLOAD_FAILED, TOOL_FAILED, PORT_IN_USE, RELEASE_UNTRUSTED
 */
export async function startOffer(
  context: MachineContext,
  created: CreatedJoinToken,
  wishes: OfferWishes,
): Promise<StartedOffer> {
  const at = offeringAddress(created.servers, context.addresses());
  const offer = await offerOf(context, created, at, wishes);
  const unit = `pipeops-agent-offer-${created.id}.service`;
  const file = `${context.places.hostStateDirectory}/offer-${created.id}.json`;
  await context.files.writeAtomic(file, JSON.stringify(offer), { mode: 0o600 });
  try {
    const lifeMs = Date.parse(created.expires) - context.clock.now().getTime();
    await run(context, unitArguments({ unit, file, lifeMs, program: offer.agent.file }));
    await waitUntilOffered(context, offer, unit);
  } finally {
    await context.files.remove(file); // systemd has read it.
  }
  const address = `https://${hostAndPort(at.address, offer.port)}`;
  const { certificate, path, script } = offer;
  const from = { url: `${address}/${path}/install.sh`, pin: pinOf(certificate), script };
  return { line: offeredJoinLine(created.token, from), address, unit };
}

async function offerOf(
  context: MachineContext,
  created: CreatedJoinToken,
  { address: hostname, server }: OfferingAddress,
  { port, downloads, config }: OfferWishes,
): Promise<Offer> {
  const { token: k3sToken, gate, ca } = decodeJoinToken(created.token);
  const token = gate ?? k3sToken; // What ends: never that of servers.
  const version = await installedK3sVersion(context);
  const architecture = k3sArchitecture(context.architecture);
  if (version === undefined) {
    throw new AgentError('NOT_A_SERVER', 'There is no k3s here to offer', {
      hint: 'Run this on a machine that was set up with: pipeops-agent install',
    });
  }
  const kept = await context.files.readText(context.places.keptK3sInstallerFile);
  const { certificate, key } = certificateFor(context, hostname, created.expires);
  const path = createHmac('sha256', token).update('offer').digest('hex').slice(0, KEY_LENGTH);
  const baseUrl = `https://${hostAndPort(hostname, port)}/${path}`;
  const agent = { ...(await installedProgram(context)), platform: `linux-${context.architecture}` };
  const release = await signaturesOf(context, downloads.http, config, {
    ...{ version: agent.version, platform: agent.platform, path: agent.file },
    allowExpired: true,
  });
  return {
    ...{ hostname, port, certificate, key, path, ca, token },
    ...{ server, agent, release },
    k3s: {
      version,
      file: K3S_EXECUTABLE,
      programName: programName(architecture),
      sumsName: sumsName(architecture),
      installer: kept ?? (await downloads.origin.installer(context.signal)),
    },
    script: offerScript({
      releaseKeys: context.releaseKeys,
      baseUrl,
      k3sMirror: `${baseUrl}/k3s`,
      certificate,
      processor: architecture === 'amd64' ? 'x86_64' : 'aarch64',
    }),
  };
}

/** What everybody may read, wherever this process was started from. */
async function installedProgram({ files, places }: MachineContext) {
  const linked = await files.readLink(places.executableLink).catch(() => undefined);
  if (linked === undefined || dirname(dirname(linked)) !== places.versionsDirectory) {
    throw new AgentError('NOT_INSTALLED', `${places.executableLink} leads to no program to offer`, {
      hint: 'Run "sudo pipeops-agent install" on this server again',
    });
  }
  return { version: basename(dirname(linked)), file: linked };
}

/** Of this offer alone: no key of the cluster is used, and the line says which certificate it is. */
function certificateFor({ clock, random }: MachineContext, hostname: string, expires: string) {
  return selfSignedCertificate({
    commonName: 'pipeops-agent offer',
    dnsNames: [],
    ipAddresses: [hostname],
    notBefore: new Date(clock.now().getTime() - CLOCK_SLACK_MS),
    notAfter: new Date(Date.parse(expires) + CLOCK_SLACK_MS),
    serial: random.bytes(SERIAL_BYTES),
  });
}

/** As curl(1) and wget(1) take it: the hash of the public key. */
function pinOf(certificate: string): string {
  const spki = new X509Certificate(certificate).publicKey.export({ format: 'der', type: 'spki' });
  return `sha256//${new Bun.CryptoHasher('sha256').update(spki).digest('base64')}`;
}

/** A user of its own that can do nothing but read what everybody may, and answer. */
function unitArguments({
  unit,
  file,
  lifeMs,
  program,
}: {
  readonly unit: string;
  readonly file: string;
  readonly lifeMs: number;
  readonly program: string;
}): readonly string[] {
  const properties = [
    `LoadCredential=${OFFER_CREDENTIAL}:${file}`,
    `RuntimeMaxSec=${Math.ceil(lifeMs / 1_000)}`,
    ...['Type=exec', 'DynamicUser=yes', 'MemoryMax=256M', 'TasksMax=64', 'CPUWeight=20'],
    ...['NoNewPrivileges=yes', 'CapabilityBoundingSet=', 'ProtectSystem=strict'],
    ...['ProtectHome=yes', 'PrivateTmp=yes', 'PrivateDevices=yes', 'ProtectProc=invisible'],
    ...['ProtectKernelTunables=yes', 'ProtectKernelModules=yes', 'ProtectControlGroups=yes'],
    ...['RestrictNamespaces=yes', 'RestrictSUIDSGID=yes', 'LockPersonality=yes'],
    'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
    'UnsetEnvironment=BUN_OPTIONS BUN_BE_BUN NODE_OPTIONS',
  ].map((property) => `--property=${property}`);
  const what = 'PipeOps agent: programs for machines that join';
  return [
    ...['systemd-run', '--quiet', '--collect', `--unit=${unit}`, `--description=${what}`],
    ...[...properties, program, 'token', 'serve'],
  ];
}

async function run({ exec }: MachineContext, argv: readonly string[]): Promise<void> {
  const [program = '', ...args] = argv;
  const result = await exec.run([program, ...args], { timeoutMs: START_TIMEOUT_MS });
  if (result.exitCode !== 0) {
    throw new AgentError('TOOL_FAILED', `systemd-run failed: ${result.stderr.trim()}`, {
      hint: '--serve needs systemd 247 or newer. Join without it, or with a bundle',
    });
  }
}

async function waitUntilOffered(context: MachineContext, offer: Offer, unit: string) {
  const { hostname, port, path, certificate } = offer;
  const url = `https://${hostAndPort(hostname, port)}/${path}/latest`;
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: START_TIMEOUT_MS };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    const isThere = await within(context.clock, ASK_TIMEOUT_MS, context.signal, async (signal) => {
      const response = await context.http(url, { tls: { ca: certificate }, signal });
      return response.ok;
    }).catch(() => false);
    if (isThere) {
      return { found: true };
    }
    const state = await activeState(context, unit);
    if (state !== 'active' && state !== 'activating') {
      throw await startFailure(context, unit);
    }
    return { soFar: undefined };
  });
  if (end.kind !== 'found') {
    await systemctl(context, 'stop', unit);
    throw await startFailure(context, unit);
  }
}

async function startFailure(context: MachineContext, unit: string): Promise<AgentError> {
  const lines = await lastJournalLines(context, unit, FAILURE_LINES);
  const own = errorInLines(lines);
  const why = own?.message ?? lines.at(-1) ?? 'it ended without a word';
  return new AgentError(own?.code ?? 'TOOL_FAILED', `The offer did not start: ${why}`, {
    hint: own?.hint ?? `Look at: journalctl -u ${unit}`,
    details: { last_lines: lines },
  });
}
