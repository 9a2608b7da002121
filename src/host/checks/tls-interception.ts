import { controlPlaneReached } from '../facts/control-plane-reached.ts';
import { downloadsReached } from '../facts/downloads-reached.ts';
import type { Reached } from '../facts/reached.ts';
import { subject } from '../facts/subject.ts';
import type { Check } from './check.ts';
import { ENDPOINT_STEPS } from './endpoint-finding.ts';

export const tlsUnopened: Check = {
  id: 'tls-interception',
  title: 'TLS is not opened',
  severity: 'warns',
  cost: 'dear',
  networkSteps: ENDPOINT_STEPS,
  roles: ['bare', 'server'],
  why: 'What opens TLS on the way reads and may change all of it, the token too; such proxies often cut WebSockets, and containers do not know their authority.',
  remedy:
    'Have the names of the control plane and of the downloads passed unopened. Otherwise containers and k3s need ' +
    'the authority of that proxy too: put it into `registries.yaml` and into the images that call out.',
  needs: [controlPlaneReached, subject],
  run: async (facts) => {
    const { config, role } = await facts(subject);
    // With --ca-file the authority of the control plane is meant to be another one.
    const own =
      config.control_plane.ca_file === undefined ? await facts(controlPlaneReached) : undefined;
    const downloads = role === 'bare' && config.k3s.mirror === undefined;
    const others = downloads ? await facts(downloadsReached) : [];
    const opened = [...(own === undefined ? [] : [own]), ...others].flatMap(openedBy);
    const [first] = opened;
    return first === undefined
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: `${opened.map(({ host }) => host).join(', ')}: the certificate is of "${first.issuer}", an authority that only this machine trusts: something on the way opens TLS, or the server is a private one`,
          hint: 'Where it is not your own, have these names passed unopened',
          details: { opened },
        };
  },
};

/** Trusted here, but by nobody else. What is not trusted here either is told as an error. */
function openedBy({ endpoint, usual }: Reached) {
  return usual.flatMap(({ walk: { certificate, failure } }) =>
    failure === undefined && certificate !== undefined && !certificate.isPublic
      ? [{ host: endpoint.url.host, issuer: certificate.issuer }]
      : [],
  );
}
