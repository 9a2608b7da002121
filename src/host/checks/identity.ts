/** By what this machine is told from others. */
import { nodeNameOf } from '../../config/node-settings.ts';
import { hostname } from '../facts/hostname.ts';
import { machineId } from '../facts/machine-id.ts';
import { subject } from '../facts/subject.ts';
import { BARE, type Check, EVERYWHERE } from './check.ts';

/** What machines are called that nobody has given a name. */
const COMMON_NAMES = ['localhost', 'debian', 'ubuntu', 'raspberrypi', 'ip6-localhost', 'linux'];

export const usableHostname: Check = {
  id: 'hostname',
  title: 'Name of the machine',
  severity: 'blocks',
  cost: 'dear',
  roles: BARE,
  why: 'Its node gets this name, by which the cluster tells it from others and recognises it for ever.',
  remedy: `Kubernetes takes small letters, digits, "-" and ".". Rename the machine with
\`sudo hostnamectl set-hostname NAME\`, or give only the node another name: \`--node-name NAME\`.`,
  needs: [hostname, subject],
  run: async (facts) => {
    const { config } = await facts(subject);
    const name = nodeNameOf(await facts(hostname), config.k3s.node_name);
    return COMMON_NAMES.includes(name.split('.')[0] ?? '')
      ? {
          code: 'HOST_UNSUPPORTED',
          message: `The machine is called "${name}", as many others are`,
          hint: 'A cluster refuses the second machine of a name: give it one of its own',
          fix: 'sudo hostnamectl set-hostname NAME',
          onlyWarns: true,
        }
      : undefined;
  },
};

export const ownMachineId: Check = {
  id: 'machine-id',
  title: 'Identity of the machine',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'Two machines with the same identity get the same address by DHCP, and the same names in networks and logs.',
  remedy: `It stands in \`/etc/machine-id\` and is made at the first start. In an image that many machines are made
of, the file must be empty, and the other one a link or absent. On a clone: \`sudo rm -f /etc/machine-id /var/lib/dbus/machine-id\`, then
\`sudo systemd-machine-id-setup\`, and restart.`,
  needs: [machineId],
  run: async (facts) => {
    const id = await facts(machineId);
    const trouble = troubleOf(id);
    return trouble === undefined
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: `/etc/machine-id ${trouble}`,
          hint: 'Make a new one, and restart',
          // systemd would take the old one from D-Bus' copy, where that is a file of its own.
          fix: 'sudo rm -f /etc/machine-id /var/lib/dbus/machine-id && sudo systemd-machine-id-setup && sudo reboot',
        };
  },
};

function troubleOf(id: string): string | undefined {
  if (id === '' || id === 'uninitialized') {
    return 'is empty: this start of the machine has only a passing identity';
  }
  if (!/^[0-9a-f]{32}$/.test(id)) {
    return 'is no identity: it must be 32 digits and letters from a to f';
  }
  // Made by hand, and copied with the image it stands in.
  return new Set(id).size <= 2 || id.startsWith('0123456789abcdef')
    ? `is "${id}", which was not made for this machine`
    : undefined;
}
