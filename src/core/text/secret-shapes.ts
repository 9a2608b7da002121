/**
 * Shapes of secrets, for texts that may contain one whose value nobody told us. They are data and
 * not regular expressions: redact.ts reads them in linear time, whatever the text.
 */

/** Characters of one part. */
export type Characters = 'base62' | 'base64' | 'base64url' | 'hex' | 'upper' | 'visible';

export interface ShapePart {
  readonly of: Characters;
  readonly min: number;
  /** A longer run is something else. */
  readonly max?: number;
}

export interface SecretShape {
  readonly name: string;
  /** Where it is defined. */
  readonly source: string;
  /** It begins with one of these, at the start of a word. */
  readonly begins: readonly string[];
  /** What it begins with is no secret, and is followed by blanks. */
  readonly scheme?: true;
  readonly parts: readonly ShapePart[];
  /** Between two parts. */
  readonly joint?: string;
  /** For shapes that ordinary words can have too. */
  readonly check?: (parts: string) => boolean;
}

const one = (of: Characters, min: number, max?: number): readonly ShapePart[] => [
  { of, min, ...(max === undefined ? {} : { max }) },
];

export const SECRET_SHAPES: readonly SecretShape[] = [
  {
    name: 'k3s token',
    source: 'docs.k3s.io, "k3s token"',
    begins: ['K10'],
    parts: [...one('hex', 64, 64), ...one('visible', 1)],
    joint: '::',
  },
  {
    name: 'join token of this program',
    source: 'src/protocol/secrets/join-token.ts',
    begins: ['pj1.'],
    parts: [...one('base64url', 40), ...one('hex', 8, 8)],
    joint: '.',
  },
  {
    name: 'key of snapshots',
    source: 'src/protocol/secrets/snapshot-key.ts',
    begins: ['psk1.'],
    parts: [...one('base64url', 43, 43), ...one('hex', 8, 8)],
    joint: '.',
  },
  {
    name: 'JSON Web Token',
    source: 'RFC 7519, section 3; "eyJ" is the beginning of every JSON object in base64',
    begins: ['eyJ'],
    parts: [...one('base64url', 10), ...one('base64url', 10), ...one('base64url', 10)],
    joint: '.',
  },
  {
    name: 'bearer token',
    source: 'RFC 6750, section 2.1',
    begins: ['Bearer', 'bearer', 'BEARER'],
    scheme: true,
    parts: one('base64', 8),
  },
  {
    name: 'user and password',
    source: 'RFC 7617, section 2',
    begins: ['Basic', 'basic', 'BASIC'],
    scheme: true,
    parts: one('base64', 4),
    check: (credentials) => Buffer.from(credentials, 'base64').includes(':'),
  },
  {
    name: 'token of GitHub',
    source: 'docs.github.com, "About authentication to GitHub", token formats',
    begins: ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'github_pat_'],
    parts: one('base64url', 20),
  },
  {
    name: 'token of GitLab',
    source: 'docs.gitlab.com, "GitLab token overview", token prefixes',
    begins: [
      'glpat-',
      'gloas-',
      'gldt-',
      'glrt-',
      'glcbt-',
      'glptt-',
      'glft-',
      'glagent-',
      'glsoat-',
    ],
    parts: one('base64url', 20),
  },
  {
    name: 'access key of AWS',
    source: 'docs.aws.amazon.com, "IAM identifiers", unique identifiers',
    begins: ['AKIA', 'ASIA', 'ABIA', 'ACCA'],
    parts: one('upper', 16, 16),
  },
  {
    name: 'API key of Google',
    source: 'cloud.google.com, "Manage API keys"',
    begins: ['AIza'],
    parts: one('base64url', 35, 35),
  },
  {
    name: 'access token of Google',
    source: 'developers.google.com, "Using OAuth 2.0 to Access Google APIs", token size',
    begins: ['ya29.'],
    parts: one('base64url', 20),
  },
  {
    name: 'token of Slack',
    source: 'docs.slack.dev, "Tokens"',
    begins: ['xoxb-', 'xoxp-', 'xoxa-', 'xoxr-', 'xoxs-', 'xoxe-', 'xapp-'],
    parts: one('base64url', 10),
  },
  {
    name: 'key of Stripe',
    source: 'docs.stripe.com, "API keys" and "Webhook signatures"',
    begins: ['sk_live_', 'sk_test_', 'rk_live_', 'rk_test_', 'whsec_'],
    parts: one('base64', 16),
  },
  {
    name: 'token of npm',
    source: 'docs.npmjs.com, "About access tokens"',
    begins: ['npm_'],
    parts: one('base62', 36, 36),
  },
  {
    name: 'token of PyPI',
    source: 'pypi.org, "Help", API tokens: a macaroon of pypi.org in base64',
    begins: ['pypi-AgE'],
    parts: one('base64url', 32),
  },
  {
    name: 'token of Docker Hub',
    source: 'docs.docker.com, "Personal access tokens"',
    begins: ['dckr_pat_', 'dckr_oat_'],
    parts: one('base64url', 20),
  },
  {
    name: 'token of DigitalOcean',
    source: 'docs.digitalocean.com, "Personal access tokens"',
    begins: ['dop_v1_', 'doo_v1_', 'dor_v1_'],
    parts: one('hex', 64, 64),
  },
  {
    name: 'token of Vault',
    source: 'developer.hashicorp.com, "Vault: Tokens", token prefixes',
    begins: ['hvs.', 'hvb.', 'hvr.'],
    parts: one('base64url', 20),
  },
  {
    name: 'key of OpenAI or Anthropic',
    source: 'platform.openai.com and docs.anthropic.com, "API keys"',
    begins: ['sk-proj-', 'sk-svcacct-', 'sk-admin-', 'sk-ant-'],
    parts: one('base64url', 20),
  },
  {
    name: 'key of SendGrid',
    source: 'docs.sendgrid.com, "API keys"',
    begins: ['SG.'],
    parts: [...one('base64url', 16), ...one('base64url', 32)],
    joint: '.',
  },
];

export const CHARACTERS: Readonly<Record<Characters, RegExp>> = {
  base62: /[A-Za-z0-9]/,
  base64: /[A-Za-z0-9._~+/=-]/,
  base64url: /[A-Za-z0-9_-]/,
  hex: /[0-9a-f]/,
  upper: /[A-Z0-9]/,
  visible: /[^\s"']/,
};
