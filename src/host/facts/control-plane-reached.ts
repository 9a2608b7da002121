import { REST_PATHS } from '../../protocol/rest.ts';
import { WEBSOCKET_PATH } from '../../protocol/session/messages.ts';
import type { Fact, FactDeps } from './fact.ts';
import { type Endpoint, type Reached, reach } from './reached.ts';

/** REST of the control plane; undefined where none is needed: on a worker, and while standalone. */
export const controlPlaneReached = controlPlaneFact('control-plane-reached', {
  name: 'the control plane',
  path: REST_PATHS.health(),
  ask: 'answer',
});

/** The same with a request of more than two packets. */
export const largeRequestReached = controlPlaneFact('large-request-reached', {
  name: 'the control plane',
  path: REST_PATHS.health(),
  ask: 'large',
});

/** The same with small packets only, those of TLS too. */
export const smallPacketsReached = controlPlaneFact('small-packets-reached', {
  name: 'the control plane',
  path: REST_PATHS.health(),
  ask: 'answer',
  beginsSmall: true,
});

/** The upgrade to a WebSocket of the session. Without a token: it answers 401, or 101. */
export const webSocketReached = controlPlaneFact('websocket-reached', {
  name: "the control plane's WebSocket",
  path: WEBSOCKET_PATH,
  ask: 'websocket',
});

/** The gateways that the settings name; a pattern such as *.example.com names none. */
export const gatewaysReached: Fact<readonly Reached[]> = {
  id: 'gateways-reached',
  read: async (deps) => {
    const { gateway_hosts: hosts = [], url } = deps.subject.config.control_plane;
    if (!(await needsControlPlane(deps))) {
      return [];
    }
    const ca = await ownCa(deps);
    const scheme = new URL(url).protocol;
    const named = hosts.filter((host) => !host.startsWith('*'));
    return Promise.all(
      named.map((host) =>
        reach(deps, {
          name: 'a gateway of the control plane',
          url: new URL(`${scheme}//${host}/ws`),
          ca,
          ask: 'websocket',
        }),
      ),
    );
  },
};

function controlPlaneFact(
  id: string,
  { path, ...endpoint }: Omit<Endpoint, 'url' | 'ca'> & { readonly path: string },
): Fact<Reached | undefined> {
  return {
    id,
    read: async (deps) => {
      if (!(await needsControlPlane(deps))) {
        return undefined;
      }
      const url = new URL(deps.subject.config.control_plane.url);
      url.pathname = path;
      return await reach(deps, { ...endpoint, url, ca: await ownCa(deps) });
    },
  };
}

/** A bare machine may be about to get one. */
async function needsControlPlane({ files, places, subject }: FactDeps): Promise<boolean> {
  return (
    subject.k3sRole === 'server' &&
    (subject.role === 'bare' || (await files.stat(places.controlPlaneTokenFile)) !== undefined)
  );
}

/** The certificates of --ca-file. Without readable ones nobody is trusted, as in the daemon. */
export async function ownCa({ files, subject }: FactDeps): Promise<string | undefined> {
  const path = subject.config.control_plane.ca_file;
  return path === undefined ? undefined : ((await files.readText(path)) ?? '');
}
