import installText from '../../../install.sh' with { type: 'text' };
import { DEFAULT_PLACES } from '../../core/places.ts';
import type { ReleaseKeys } from '../../core/release-keys.ts';
import { installScriptWith } from '../../host/release/install-script.ts';

/** The other machine has not been asked for its places. */
const CERTIFICATE_FILE = DEFAULT_PLACES.offerCertificateFile;

export interface ScriptFacts {
  /** By what the new machine knows the release of the program. */
  readonly releaseKeys: ReleaseKeys;
  /** Where programs come from: the offer itself. */
  readonly baseUrl: string;
  readonly k3sMirror: string;
  /** PEM. */
  readonly certificate: string;
  /** As "uname -m" says it. */
  readonly processor: string;
}

/**
 * install.sh for a machine that joins by this server: the same script, told where to fetch everything.
 * Its braces hold the whole of it, as those of install.sh do.
 */
export function offerScript({
  releaseKeys,
  baseUrl,
  k3sMirror,
  certificate,
  processor,
}: ScriptFacts): string {
  return `#!/bin/sh
# install.sh, for machines that join by the server which offers it.
{
[ "$(uname -m)" = ${processor} ] || {
  echo "pipeops-agent: error: The server offers programs for ${processor}, and this is $(uname -m) [HOST_UNSUPPORTED]" >&2
  echo "pipeops-agent: hint: Join with internet: sudo pipeops-agent token create, without --serve" >&2
  exit 4
}
[ ! -w /run ] || cat >${CERTIFICATE_FILE} <<'END_OF_CERTIFICATE'
${certificate.trimEnd()}
END_OF_CERTIFICATE
PIPEOPS_BASE_URL=${baseUrl}
PIPEOPS_K3S_MIRROR=${k3sMirror}
PIPEOPS_CA_FILE=${CERTIFICATE_FILE}
# It runs on the server already, however old its signature is.
PIPEOPS_ALLOW_EXPIRED=yes
export PIPEOPS_BASE_URL PIPEOPS_K3S_MIRROR PIPEOPS_CA_FILE
${installScriptWith(installText, releaseKeys).replace(/^#!.*\n/, '')}}
`;
}
