/**
 * The join token: `pj1.<base64url JSON>.<8 hex checksum>`. It carries the cluster's CA certificate
 * itself, so a joining machine fetches nothing unverified, and a checksum, so a mangled copy is
 * found before any connection.
 */
import * as z from 'zod';
import { AgentError } from '../../core/errors.ts';
import { BUILD } from '../../core/version.ts';
import { withoutFolds } from './kind.ts';
import { misplacedSecret } from './misplaced.ts';

export const JOIN_TOKEN_LIMIT_BYTES = 4 * 1024;
/** Longest text in which one is looked for: a mail may have put a line break after each few letters. */
export const JOIN_TOKEN_TEXT_LIMIT_BYTES = 64 * 1024;
const PREFIX = 'pj1';
/** The newest token that is read here. */
const READER = 1;

/** A server of another version may have made it: fields that are not known here are left out. */
export const JoinTokenContent = z.object({
  /** The oldest reader that may use it. */
  v: z.literal(READER),
  /** `https://host:6443` of each server, tried in order. */
  servers: z
    .array(z.url({ protocol: /^https$/ }))
    .min(1)
    .max(16),
  /** The cluster's CA certificate(s), PEM: of a long chain only where it begins. */
  ca: z.string().includes('-----BEGIN CERTIFICATE-----'),
  /** What k3s takes as its token: secret. */
  token: z.string().min(1),
  role: z.enum(['agent', 'server']),
  /**
   * Of a server: the bootstrap token that lets it in, secret. `token` is k3s' own there, which never ends;
   * this one does, and stands for the place among the servers that it takes.
   */
  gate: z.string().min(1).optional(),
  /** Of a server: what all servers of the cluster leave out of k3s. */
  disable: z.array(z.string().max(64)).max(16).optional(),
  /** Of a server: names and addresses that all servers have in their certificates. */
  names: z.array(z.string().max(253)).max(32).optional(),
  /** What the cluster was told of its networks, as CIDRs; absent where it has k3s' usual ones. */
  networks: z
    .object({
      pods: z.array(z.string().max(64)).max(2),
      services: z.array(z.string().max(64)).max(2),
    })
    .optional(),
  /** The nodes of the cluster hand images to each other. */
  embedded_registry: z.literal(true).optional(),
  /** When the bootstrap token inside ends; null where it has no end. */
  expires: z.iso.datetime().nullable(),
  /** The only name that a node may take with it; `*` stands for any characters. */
  node: z.string().min(1).max(63).optional(),
  /** The only networks, as CIDRs, from which a machine may come. */
  from: z.array(z.string()).min(1).max(8).optional(),
  /** The version of k3s on the server: no node may have a newer one. */
  k3s: z.string().max(64).optional(),
});
export type JoinTokenContent = z.infer<typeof JoinTokenContent>;

/** @throws AgentError HOST_UNSUPPORTED when the token would be longer than the limit */
export function encodeJoinToken(content: JoinTokenContent): string {
  const body = Buffer.from(JSON.stringify(content)).toString('base64url');
  const token = `${PREFIX}.${body}.${checksum(body)}`;
  if (token.length > JOIN_TOKEN_LIMIT_BYTES) {
    throw new AgentError(
      'HOST_UNSUPPORTED',
      `A join token of this cluster would have ${token.length} bytes, more than the ${JOIN_TOKEN_LIMIT_BYTES} that it may have`,
      {
        hint:
          "The CA certificates of its servers are too long for one; join with k3s' own token: " +
          'NODE_TYPE=agent, K3S_URL and K3S_TOKEN',
      },
    );
  }
  return token;
}

/**
 * Reads a join token, folded or not. Does not look at `expires`: the caller has the clock.
 * @throws AgentError JOIN_TOKEN_INVALID, never with the token in its text
 */
export function decodeJoinToken(text: string): JoinTokenContent {
  const misplaced = misplacedSecret('join-token', text);
  if (misplaced !== undefined) {
    throw misplaced;
  }
  const token = withoutFolds(text).replace(/^["'`]|["'`]$/g, '');
  if (token.length === 0) {
    throw invalid('it is empty');
  }
  if (token.split(`${PREFIX}.`).length > 2) {
    throw invalid('there is more than one; give one');
  }
  if (token.length > JOIN_TOKEN_LIMIT_BYTES) {
    throw invalid(`it is longer than ${JOIN_TOKEN_LIMIT_BYTES} bytes`);
  }
  const [prefix, body, sum, ...rest] = token.split('.');
  if (/^pj\d{1,3}$/.test(prefix ?? '') && prefix !== PREFIX) {
    throw otherVersion();
  }
  if (prefix !== PREFIX) {
    throw new AgentError(
      'JOIN_TOKEN_INVALID',
      `This is not a join token: it does not begin with "${PREFIX}."`,
      {
        hint:
          'If it is a token of the control plane: sudo pipeops-agent install --token-file FILE. ' +
          'A join token is made on a server: sudo pipeops-agent token create',
      },
    );
  }
  if (body === undefined || sum === undefined || rest.length > 0) {
    throw invalid('it does not have three parts');
  }
  if (sum !== checksum(body)) {
    throw invalid('its checksum does not match, so a part of it was lost or changed on the way');
  }
  return parseBody(body);
}

function parseBody(body: string): JoinTokenContent {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
  } catch (cause) {
    throw invalid('its content is not JSON', cause);
  }
  const reader = Number((json as { readonly v?: unknown } | null)?.v ?? 0);
  if (reader > READER) {
    throw otherVersion();
  }
  const parsed = JoinTokenContent.safeParse(json);
  if (!parsed.success) {
    const fields = parsed.error.issues.map((issue) => issue.path.join('.') || 'content');
    throw invalid(`these fields are wrong: ${fields.join(', ')}`);
  }
  return parsed.data;
}

/** The id of the bootstrap token in a token of k3s; undefined where it is another one. No secret. */
export function bootstrapTokenId(k3sToken: string): string | undefined {
  return /(?:^|::)([a-z0-9]{6})\.[a-z0-9]{16}$/.exec(k3sToken)?.[1];
}

/** First 8 hex digits of SHA-256: finds accidents, is no defence against forgery. */
function checksum(body: string): string {
  return new Bun.CryptoHasher('sha256').update(`${PREFIX}.${body}`).digest('hex').slice(0, 8);
}

function otherVersion(): AgentError {
  return new AgentError(
    'JOIN_TOKEN_INVALID',
    `Cannot use the join token: it is of another version of pipeops-agent than this, ${BUILD.version}`,
    {
      hint:
        'Install the version here that made it: "pipeops-agent version" on the server tells which, ' +
        'and PIPEOPS_VERSION takes it',
    },
  );
}

function invalid(why: string, cause?: unknown): AgentError {
  return new AgentError('JOIN_TOKEN_INVALID', `Cannot use the join token: ${why}`, {
    hint: 'Copy the whole token again, or make a new one on a server: pipeops-agent token create',
    cause,
  });
}
