import { USR_LOCAL, USR_LOCAL_LAYER } from '../../core/places.ts';
import { distribution } from '../facts/distribution.ts';
import { usrLocal } from '../facts/usr-local.ts';
import { type WrittenPlace, writtenPlaces } from '../facts/written-places.ts';
import { type Check, EVERYWHERE, type Finding } from './check.ts';

export const writablePlaces: Check = {
  id: 'read-only-places',
  title: 'Places that are written to',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'The agent and k3s put programs, units and data there.',
  remedy: `A read-only \`/usr\` (ostree, transactional updates, images) is all right. Where \`/usr/local\` leads to a
place that can be written, as on Fedora CoreOS and openSUSE MicroOS, nothing is done. Where it is read-only as well,
as on Flatcar, the installation lays something writable over it, kept in \`${USR_LOCAL_LAYER}\` and mounted at each start by
\`usr-local.mount\`: what the system has there is still seen, and \`uninstall\` takes the layer off. That cannot be done
where \`/usr/local\` is missing, a link, or has mounts below it. Anything else that is read-only was mounted so by
\`/etc/fstab\`, or the kernel found the disk damaged: see \`dmesg\`.`,
  needs: [writtenPlaces, usrLocal, distribution],
  run: async (facts) => {
    const bad = (await facts(writtenPlaces)).filter(({ mount }) => mount.options.has('ro'));
    if (bad.length === 0) {
      return undefined;
    }
    if ((await facts(usrLocal)) === 'layer' && bad.every(isBelowUsrLocal)) {
      return {
        ...finding(
          `${USR_LOCAL} is read-only here`,
          `The installation lays something writable over it, kept in ${USR_LOCAL_LAYER}; uninstall takes it off`,
          bad,
        ),
        onlyWarns: true,
      };
    }
    const isUsr = bad.some(({ path }) => path.startsWith('/usr/'));
    const system = (await facts(distribution)).name || 'This system';
    return finding(
      `These places are read-only: ${list(bad)}`,
      isUsr
        ? `${system} keeps /usr for itself. Use another one: see the check "distribution"`
        : 'See why: sudo dmesg. When the disk is well, mount it for writing',
      bad,
    );
  },
};

export const runnablePlaces: Check = {
  id: 'noexec-places',
  title: 'Places programs run from',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'On a file system that is mounted "noexec" no program starts, not even as root.',
  remedy: 'Take `noexec` out of the line of that mount in `/etc/fstab`, and mount it again.',
  needs: [writtenPlaces],
  run: async (facts) => {
    const bad = (await facts(writtenPlaces)).filter(
      ({ hasPrograms, mount }) => hasPrograms && mount.options.has('noexec'),
    );
    const again = new Set(bad.map(({ mount }) => `sudo mount -o remount,exec ${mount.path}`));
    return bad.length === 0
      ? undefined
      : {
          ...finding(
            `No program may run from: ${list(bad)}`,
            'Take "noexec" out of /etc/fstab, and mount it again',
            bad,
          ),
          fix: [...again].join('\n'),
        };
  },
};

function isBelowUsrLocal({ path }: WrittenPlace): boolean {
  return path.startsWith(`${USR_LOCAL}/`);
}

function list(places: readonly WrittenPlace[]): string {
  return places.map(({ path, mount }) => `${path} (mount ${mount.path})`).join(', ');
}

function finding(message: string, hint: string, places: readonly WrittenPlace[]): Finding {
  return {
    code: 'HOST_UNSUPPORTED',
    message,
    hint,
    details: { places: places.map(({ path, mount }) => ({ path, mount: mount.path })) },
  };
}
