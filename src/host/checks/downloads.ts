import { downloadsReached } from '../facts/downloads-reached.ts';
import { subject } from '../facts/subject.ts';
import { BARE, type Check } from './check.ts';
import { ENDPOINT_STEPS, leadsThere } from './endpoint-finding.ts';
import { firstFinding } from './first-finding.ts';

export const downloadsAnswer: Check = {
  id: 'k3s-downloads',
  title: 'Downloads of k3s',
  severity: 'blocks',
  cost: 'dear',
  networkSteps: ENDPOINT_STEPS,
  roles: BARE,
  why: 'The installation fetches k3s from there.',
  remedy:
    'Let the firewall pass get.k3s.io, update.k3s.io, github.com and where GitHub keeps its releases, or ' +
    "name a mirror with `--k3s-mirror`. `--ca-file` is trusted for downloads beside the system's authorities.",
  needs: [downloadsReached, subject],
  run: async (facts) => {
    const reached = await facts(downloadsReached);
    const { mirror } = (await facts(subject)).config.k3s;
    const someLead = reached.some(({ usual }) => usual.some((way) => leadsThere(way, isDownload)));
    // k3s' own places are all needed; of mirrors one will do.
    return mirror !== undefined && someLead
      ? undefined
      : firstFinding(reached, 'DOWNLOAD_FAILED', isDownload);
  },
};

/** Where GitHub keeps files a plain GET is answered; elsewhere something is there, or it sends on. */
function isDownload(status: number): boolean {
  return status >= 200 && status < 400;
}
