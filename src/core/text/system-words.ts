/**
 * The one place where the words of the system, of the network and of the runtime become ours. Theirs
 * change with each version, guess at causes ("Was there a typo in the url?") and say it for
 * programmers; what is sure is the code that they carry.
 */

/** By code, as the end of a sentence: "Cannot reach 10.0.0.1: it refuses connections". */
const WORDS: Readonly<Record<string, string>> = {
  // Connections (errno(3), and the names of the runtime).
  ECONNREFUSED: 'it refuses connections',
  ConnectionRefused: 'it refuses connections',
  ECONNRESET: 'it closed the connection',
  ECONNABORTED: 'it closed the connection',
  ConnectionClosed: 'it closed the connection',
  EPIPE: 'it closed the connection',
  ENOTCONN: 'it closed the connection',
  ETIMEDOUT: 'it did not answer in time',
  EHOSTUNREACH: 'the network has no way to it',
  ENETUNREACH: 'the network has no way to it',
  EHOSTDOWN: 'the network has no way to it',
  ENETDOWN: 'the network is down',
  FailedToOpenSocket: 'no connection to it can be opened',
  ENOTFOUND: 'its name cannot be resolved',
  FailedToResolve: 'its name cannot be resolved',
  ENODATA: 'its name has no address',
  EADDRINUSE: 'another program holds the port',
  EADDRNOTAVAIL: 'this machine has no such address',
  EPROTO: 'TLS cannot be agreed on with it; it may not speak TLS there',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS there',
  ERR_BORINGSSL: 'the certificates to trust cannot be read',
  UnexpectedRedirect: 'it sends on to another address',
  ZlibError: 'its answer cannot be unpacked',
  Malformed_HTTP_Response: 'its answer is not HTTP',
  InvalidHTTPResponse: 'its answer is not HTTP',
  ERR_INVALID_URL: 'it is no address',
  // Certificates (OpenSSL, "X509_V_ERR").
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; compare the clocks',
  CERT_REVOKED: 'its certificate was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  HOSTNAME_MISMATCH: 'its certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself, and not trusted here',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is of an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate is of an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is of an authority that is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is of an authority that is not trusted here',
  CERT_UNTRUSTED: 'its certificate is of an authority that is not trusted here',
  // Files.
  ENOENT: 'it does not exist',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is no directory',
  EEXIST: 'something is there already',
  ENOTEMPTY: 'the directory is not empty',
  ELOOP: 'too many links lead to it',
  ENAMETOOLONG: 'its name is too long',
  EROFS: 'the file system takes no changes',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'no space left on the disk',
  EFBIG: 'it would be too large',
  EXDEV: 'it is on another file system',
  EBUSY: 'it is in use',
  ETXTBSY: 'it is a program that runs',
  EINVAL: 'it is not what was expected there',
  EIO: 'the disk reports an error',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
  ENOMEM: 'there is not enough memory',
  EAGAIN: 'the system is too busy',
  ENOTSUP: 'the system cannot do that there',
  EOPNOTSUPP: 'the system cannot do that there',
};

/** Families of codes, by how they begin; looked at in order, after the table. */
const FAMILIES: readonly (readonly [RegExp, string])[] = [
  [/^(DNS_|EAI_)/, 'its name cannot be resolved'],
  [/^(ERR_SSL_|ERR_TLS_|SSL_)/, 'TLS cannot be agreed on with it'],
  [/CERT/, 'its certificate cannot be trusted'],
  [/^HPE_/, 'its answer is not HTTP'],
  [/^Zlib|^Z_|^(Brotli|Zstd)/, 'its answer cannot be unpacked'],
  [/^SQLITE_(FULL)/, 'no space left on the disk'],
  [/^SQLITE_(BUSY|LOCKED)/, 'another process has it open'],
  [/^SQLITE_(CANTOPEN|PERM|AUTH)/, 'it cannot be opened'],
  [/^SQLITE_READONLY/, 'it cannot be written to'],
  [/^SQLITE_IOERR/, 'the disk reports an error'],
  [/^SQLITE_(CORRUPT|NOTADB)/, 'it is damaged'],
];

/** The code that the system or the runtime gave a failure: `ECONNREFUSED`. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) {
    return undefined;
  }
  return typeof thrown.code === 'string' && thrown.code !== '' ? thrown.code : undefined;
}

/** What such a code means, as the end of a sentence. */
export function systemWords(code: string): string {
  const known = Object.hasOwn(WORDS, code) ? WORDS[code] : undefined;
  return known ?? FAMILIES.find(([begin]) => begin.test(code))?.[1] ?? `the system says ${code}`;
}
