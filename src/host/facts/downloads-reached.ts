import { k3sMirrors } from '../../config/schema.ts';
import { releasePlaces } from '../k3s/release-places.ts';
import { ownCa } from './control-plane-reached.ts';
import type { Fact, FactDeps } from './fact.ts';
import { type Endpoint, type Reached, reach } from './reached.ts';

/** Any release will do where none is chosen yet: that its place answers is what counts. */
const VERSION_DEFAULT = 'v1.34.3+k3s1';

/**
 * Where k3s comes from: its installer, its channel server and its releases, or
 * mirrors of them; none where it is here.
 */
export const downloadsReached: Fact<readonly Reached[]> = {
  id: 'downloads-reached',
  read: async (deps) => {
    if (deps.subject.adoptsK3s === true) {
      return [];
    }
    const { mirror, version = VERSION_DEFAULT } = deps.subject.config.k3s;
    const ca = await downloadAuthorities(deps);
    const at = (name: string, url: string): Endpoint => {
      return { name, url: new URL(url), ca, ask: 'answer' };
    };
    const places = releasePlaces(mirror === undefined ? [] : k3sMirrors(mirror));
    const endpoints = places.flatMap((place) =>
      mirror === undefined
        ? [
            at("k3s' installer", place.installerUrl),
            at("k3s' channel server", place.channelUrl('stable')),
            at("k3s' releases", place.fileUrl(version, 'k3s')),
          ]
        : [at('the mirror of k3s', place.installerUrl)],
    );
    const reached = await Promise.all(endpoints.map((endpoint) => reach(deps, endpoint)));
    return [...reached, ...(await sentOn(deps, reached.at(-1)))];
  },
};

/** GitHub sends on to where it stores files, which a firewall may not know. */
async function sentOn(deps: FactDeps, last: Reached | undefined): Promise<readonly Reached[]> {
  const location = last?.usual.find(({ walk }) => walk.answer?.location)?.walk.answer?.location;
  const from = last?.endpoint;
  const url =
    location === undefined || from === undefined ? null : URL.parse(location, from.url.href);
  if (from === undefined || url === null || url.host === from.url.host) {
    return [];
  }
  return url.protocol === 'https:' || url.protocol === 'http:'
    ? [await reach(deps, { ...from, name: `where ${from.url.host} keeps k3s' releases`, url })]
    : [];
}

/** Those of --ca-file beside the usual ones: as when k3s is fetched. */
async function downloadAuthorities(deps: FactDeps): Promise<string | undefined> {
  const ca = await ownCa(deps);
  return ca === undefined ? undefined : [...(await deps.authorities()), ca].join('\n');
}
