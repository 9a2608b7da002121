/**
 * What kind of secret a text is, by its shape. People have several secrets at hand and give the
 * wrong one. They are told before it goes anywhere, because the receiver could use it.
 */

export type SecretKind =
  | 'join-token'
  | 'join-token-json'
  | 'k3s-token'
  | 'kubernetes-token'
  | 'jwt'
  | 'kubeconfig'
  | 'private-key'
  | 'certificate'
  | 'foreign-key'
  | 'document'
  | 'address'
  | 'path';

/** A longer text is no secret of a known shape; looking through it would take time. */
const LOOKED_AT_LENGTH_MAX = 256 * 1024;

/** How keys of other services begin, as those services document it. */
const FOREIGN_KEY_STARTS = [
  ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'github_pat_'], // GitHub
  ...['glpat-', 'gldt-', 'glrt-'], // GitLab
  ...['AKIA', 'ASIA'], // AWS
  ...['xoxb-', 'xoxp-', 'xapp-'], // Slack
  ...['dop_v1_', 'doo_v1_'], // DigitalOcean
  ...['sk_live_', 'sk_test_', 'rk_live_'], // Stripe
  ...['hvs.', 'hvb.'], // Vault
  ...['npm_', 'pypi-', 'AIza', 'ya29.', 'dckr_pat_'],
];
const DIRECTORIES = [
  ...['/root/', '/home/', '/etc/', '/var/', '/tmp/', '/run/', '/opt/', '/mnt/', '/media/', '/srv/'],
  ...['~/', './', '../'],
];
/** `{"v":1,"servers"` in base64url: a join token whose beginning was lost in copying. */
const JOIN_TOKEN_BODY = 'eyJ2IjoxLCJzZXJ2ZXJz';

/** @returns undefined for a text of no known shape: it may be a token of the control plane */
export function secretKind(given: string): SecretKind | undefined {
  if (given.length > LOOKED_AT_LENGTH_MAX) {
    return undefined;
  }
  const text = withoutBase64(given.trim());
  return documentKind(text) ?? wordKind(withoutFolds(text));
}

/** Removes what a mail, a terminal or a quoting shell has put into a word. */
export function withoutFolds(text: string): string {
  return text.replace(/[\s\u00ad\u200b-\u200d\u2060\ufeff]+/g, '');
}

/** Kubernetes shows secrets in base64, and so people copy them. */
function withoutBase64(text: string): string {
  const starts = ['LS0tLS1', 'YXBpVmVyc2lvb', 'cGoxL', 'SzEw']; // -----, apiVersion, pj1., K10
  return starts.some((start) => text.startsWith(start))
    ? Buffer.from(withoutFolds(text), 'base64').toString('utf8')
    : text;
}

function documentKind(text: string): SecretKind | undefined {
  if (text.includes('PRIVATE KEY-----') || text.startsWith('PuTTY-User-Key-File')) {
    return 'private-key';
  }
  const isYamlConfig = /^["']?clusters["']?:/m.test(text) && /^["']?users["']?:/m.test(text);
  const isJsonConfig = text.includes('"clusters"') && text.includes('"users"');
  if (isYamlConfig || isJsonConfig || text.includes('certificate-authority-data')) {
    return 'kubeconfig';
  }
  if (text.includes('-----BEGIN ') || text.startsWith('ssh-')) {
    return 'certificate';
  }
  if (text.startsWith('{')) {
    return text.includes('pj1.') ? 'join-token-json' : 'document';
  }
  return undefined;
}

function wordKind(word: string): SecretKind | undefined {
  const isBegun = /pj1\.[A-Za-z0-9_-]{16}/i.test(word) || /^pj\d+\./i.test(word);
  if (isBegun || word.includes(JOIN_TOKEN_BODY)) {
    return 'join-token';
  }
  if (/K10[0-9a-f]{64}/i.test(word) || /::(server|node):/.test(word) || /^K10.*::/.test(word)) {
    return 'k3s-token';
  }
  if (/^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(word)) {
    return 'k3s-token'; // A bootstrap token, as "k3s token create" and kubeadm make them.
  }
  if (/^eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(word)) {
    return isOfKubernetes(word) ? 'kubernetes-token' : 'jwt';
  }
  if (word.startsWith('AGE-SECRET-KEY-')) {
    return 'private-key';
  }
  if (FOREIGN_KEY_STARTS.some((start) => word.startsWith(start))) {
    return 'foreign-key';
  }
  if (/^(https?|wss?):\/\//i.test(word)) {
    return 'address';
  }
  return DIRECTORIES.some((start) => word.startsWith(start)) ? 'path' : undefined;
}

/** A service account's token names its subject (kubernetes.io, "Managing Service Accounts"). */
function isOfKubernetes(jwt: string): boolean {
  const claims = Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8');
  return claims.includes('kubernetes.io') || claims.includes('system:serviceaccount:');
}
