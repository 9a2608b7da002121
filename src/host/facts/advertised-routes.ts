import { readSetting } from '../kernel/settings.ts';
import type { Fact } from './fact.ts';
import { outputOf } from './tool-output.ts';

/** The default route of IPv6 by one link, which a router has told. */
export interface AdvertisedRoute {
  readonly device: string;
  /** Whether the kernel hears routers there: 1 unless it forwards, 2 always (Linux, "ip-sysctl.rst"). */
  readonly acceptRa: number;
}

/** Empty without ip(8). */
export const advertisedRoutes: Fact<readonly AdvertisedRoute[]> = {
  id: 'advertised-routes',
  read: async (deps) => {
    const text = await outputOf(deps, ['ip', '-json', '-6', 'route', 'show', 'default']);
    const devices = devicesIn(text ?? '[]');
    return await Promise.all(
      devices.map(async (device) => ({
        device,
        acceptRa: (await readSetting(deps.files, acceptRaOf(device))) ?? 0,
      })),
    );
  },
};

/** As sysctl(8) calls it, which has a slash for each dot in the name of a link. */
export function acceptRaOf(device: string): string {
  return `net.ipv6.conf.${device.replaceAll('.', '/')}.accept_ra`;
}

/** @param text of ip-route(8); `ra` is the protocol of what a router has told */
function devicesIn(text: string): readonly string[] {
  try {
    const rows = JSON.parse(text) as readonly {
      readonly dev?: string;
      readonly protocol?: string;
    }[];
    return [
      ...new Set(rows.flatMap(({ dev = '', protocol }) => (protocol === 'ra' ? [dev] : []))),
    ].filter((device) => device !== '');
  } catch {
    return [];
  }
}
