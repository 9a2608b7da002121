import type { Fact } from './fact.ts';
import { isDefaultRoute } from './ip-route.ts';
import { ipRoutes } from './ip-routes.ts';

export interface LinkSize {
  readonly device: string;
  /** Largest packet, bytes. */
  readonly mtu: number;
}

export interface LinkSizes {
  /** That lead out of this machine. */
  readonly out: readonly LinkSize[];
  /** Between the pods of different nodes; undefined before k3s has made it. */
  readonly pods: LinkSize | undefined;
}

/** flannel's links, one of which there is (docs.k3s.io, "Basic Network Options"). */
const POD_LINKS = ['flannel.1', 'flannel-wg'];

/** How large packets may be, by link (/sys/class/net). */
export const linkSizes: Fact<LinkSizes> = {
  id: 'link-sizes',
  read: async (deps, facts) => {
    const size = async (device: string): Promise<readonly LinkSize[]> => {
      const mtu = Number(await deps.files.readText(`/sys/class/net/${device}/mtu`));
      return mtu > 0 ? [{ device, mtu }] : [];
    };
    const routes = (await facts(ipRoutes)).filter(isDefaultRoute);
    const devices = [...new Set(routes.map(({ device }) => device))].filter((name) => name !== '');
    const [out, pods] = await Promise.all([
      Promise.all(devices.map(size)),
      Promise.all(POD_LINKS.map(size)),
    ]);
    return { out: out.flat(), pods: pods.flat()[0] };
  },
};
