/**
 * The part of the internet that a new user's machine meets, under its real names: where the agent and
 * k3s come from, and the control plane. Machines trust its authority as they trust the public ones.
 */
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts';
import { answerOfMirror } from '../vm/k3s-mirror.ts';
import { prepareK3sRelease } from '../vm/k3s-release.ts';
import { type Lab, PUBLIC_NAMES } from '../vm/lab.ts';
import { releaseAnswer } from './release-server.ts';
import { testRelease } from './test-release.ts';

const CONTROL_PLANE_NAME = 'api.pipeops.io';
const K3S_RELEASES = '/k3s-io/k3s/releases';
const HTTPS_PORT = 443;

export interface Internet extends AsyncDisposable {
  readonly controlPlane: ControlPlane;
  /** For /etc/hosts of each machine: there is no DNS. */
  readonly hosts: Readonly<Record<string, string>>;
}

/** @param token what the control plane accepts */
export async function openInternet(lab: Lab, token: string): Promise<Internet> {
  const release = await prepareK3sRelease();
  const releases = await testRelease();
  const { cert, key } = lab.internet;
  // GitHub keeps what was released before, and whether it answers is seen by one of those.
  const kept = [release, { ...release, version: 'v1.34.3+k3s1' }];
  const mirror = (path: string) => answerOfMirror(path, kept, release, false);
  const places: Readonly<Record<string, (path: string) => Promise<Response>>> = {
    'get.pipeops.dev': (path) => releaseAnswer(releases, path.replace(/^\/agent/, '')),
    'get.k3s.io': () => mirror('/install.sh'),
    'update.k3s.io': async () =>
      Response.redirect(`https://github.com${K3S_RELEASES}/tag/${release.version}`, 302),
    'github.com': (path) => mirror(path.replace(K3S_RELEASES, '')),
  };
  const server = Bun.serve({
    hostname: lab.hostAddress,
    port: HTTPS_PORT,
    development: false,
    idleTimeout: 60,
    tls: { cert, key },
    fetch: async (request) => {
      const { hostname, pathname } = new URL(request.url);
      const place = places[hostname];
      return place === undefined
        ? new Response('nobody', { status: 421 })
        : await place(decodeURIComponent(pathname));
    },
  });
  const controlPlane = startControlPlane({
    token,
    listen: { hostname: lab.secondHostAddress, port: HTTPS_PORT },
    tls: { cert, key },
  });
  const addressOf = (name: string) =>
    name === CONTROL_PLANE_NAME ? lab.secondHostAddress : lab.hostAddress;
  return {
    controlPlane,
    hosts: Object.fromEntries(PUBLIC_NAMES.map((name) => [name, addressOf(name)])),
    [Symbol.asyncDispose]: async () => {
      await controlPlane[Symbol.asyncDispose]();
      await server.stop(true);
    },
  };
}
