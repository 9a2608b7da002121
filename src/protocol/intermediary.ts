/**
 * Who answers in place of a control plane: a web firewall, a CDN, a proxy. Each shows it in
 * headers.
 */

/** Value of a header by its lower-case name. */
export type HeaderReader = (lowerName: string) => string | undefined;

/** By a header that nobody else sends, as the makers document them. */
const BY_HEADER: readonly (readonly [header: string, name: string])[] = [
  ['cf-ray', 'Cloudflare'],
  ['x-amz-cf-id', 'Amazon CloudFront'],
  ['x-amzn-waf-action', 'AWS WAF'],
  ['x-azure-ref', 'Azure Front Door'],
  ['x-iinfo', 'Imperva'],
  ['x-sucuri-id', 'Sucuri'],
  ['x-squid-error', 'the proxy Squid'],
  ['x-fastly-request-id', 'Fastly'],
];
/** By the beginning of the Server header, in lower case. */
const BY_SERVER: readonly (readonly [server: string, name: string])[] = [
  ['cloudflare', 'Cloudflare'],
  ['cloudfront', 'Amazon CloudFront'],
  ['awselb', 'AWS Elastic Load Balancing'],
  ['akamaighost', 'Akamai'],
  ['squid', 'the proxy Squid'],
  ['zscaler', 'Zscaler'],
  ['big-ip', 'F5 BIG-IP'],
  ['envoy', 'Envoy'],
  ['varnish', 'Varnish'],
];
/** Characters of a foreign name that are repeated. */
const NAME_LENGTH_MAX = 64;

/** @returns whom the headers name; undefined when nobody is in between, or does not say so */
function intermediaryOf(header: HeaderReader): string | undefined {
  const [, known] = BY_HEADER.find(([name]) => header(name) !== undefined) ?? [];
  if (known !== undefined) {
    return known;
  }
  const server = header('server') ?? '';
  const [, named] = BY_SERVER.find(([name]) => server.toLowerCase().startsWith(name)) ?? [];
  const via = header('via');
  return named ?? (via === undefined ? undefined : `a proxy (${plain(via)})`);
}

/** A page for people: no API answers with one. */
export function isPage(contentType: string | undefined, text: string): boolean {
  return /^text\/html\b/i.test(contentType ?? '') || /^\s{0,64}<(?:!doctype|html)\b/i.test(text);
}

/** Whom to name for a page that came instead of an answer. */
export function senderOf(header: HeaderReader): string {
  const server = header('server');
  return (
    intermediaryOf(header) ??
    (server === undefined ? 'something before it' : `something before it (${plain(server)})`)
  );
}

function plain(text: string): string {
  return text.slice(0, NAME_LENGTH_MAX).replace(/[^\x20-\x7e]/g, '?');
}
