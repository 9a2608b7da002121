import {
  EMBEDDED_REGISTRY_PORT,
  ETCD_PORTS,
  K3S_INNER_PORTS,
  K3S_PORTS,
  VXLAN_PORT,
} from '../../core/k3s-ports.ts';
import type { Facts, Subject } from '../facts/fact.ts';
import { type Holder, listeners, type Protocol } from '../facts/listeners.ts';
import { subject } from '../facts/subject.ts';
import { BARE, type Check, type Finding } from './check.ts';

/** For web sites: the ingress controller that k3s brings takes them. */
const WEB_PORTS = [80, 443];

interface Wanted {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

const PORTS: Omit<Check, 'run'> = {
  id: 'ports',
  title: 'Ports',
  severity: 'blocks',
  cost: 'dear',
  roles: BARE,
  why: 'k3s and the agent listen on these ports; k3s does not start while another program has one.',
  remedy: `Stop the program that is named with its unit, or move it to another port. Those of k3s are told in
docs.k3s.io, "Requirements"; the agent's own are moved with \`--port\` and \`--tls-port\`. 8472/udp carries
the traffic between machines.`,
  needs: [subject, listeners],
};

/** @param wanted TCP ports that will be listened on */
export function portsFree(wanted: readonly number[]): Check {
  return { ...PORTS, run: (facts) => takenOf(facts, { tcp: wanted, udp: [] }) };
}

/** All that a machine will listen on that has nothing of ours yet. */
export const allPortsFree: Check = {
  ...PORTS,
  run: async (facts) => takenOf(facts, wantedBy(await facts(subject))),
};

function wantedBy({ k3sRole, adoptsK3s, config: { http, k3s } }: Subject): Wanted {
  const ofEtcd = k3sRole === 'server' && k3s.ha ? ETCD_PORTS : [];
  const ofImages = k3s.embedded_registry ? [EMBEDDED_REGISTRY_PORT] : [];
  const ofAgent = k3sRole === 'server' ? [http.port, http.tls_port] : [http.port];
  return adoptsK3s === true
    ? { tcp: ofAgent, udp: [] }
    : {
        tcp: [
          ...[...K3S_PORTS[k3sRole], ...K3S_INNER_PORTS[k3sRole]],
          ...[...ofEtcd, ...ofImages, ...ofAgent],
        ],
        udp: [VXLAN_PORT],
      };
}

export const webPortsFree: Check = {
  id: 'web-ports',
  title: 'Ports 80 and 443',
  severity: 'warns',
  cost: 'dear',
  roles: BARE,
  why: 'The ingress controller of k3s waits for these ports, and web sites are not reached, while another program has them.',
  remedy: 'Stop the web server that is named, or leave the ingress controller out: `--no-traefik`.',
  needs: [subject, listeners],
  run: async (facts) => {
    const { config, k3sRole, adoptsK3s } = await facts(subject);
    return k3sRole === 'server' && adoptsK3s !== true && config.k3s.traefik
      ? takenOf(facts, { tcp: WEB_PORTS, udp: [] })
      : undefined;
  },
};

interface Taken extends Holder {
  readonly protocol: Protocol;
  readonly port: number;
}

async function takenOf(facts: Facts, wanted: Wanted): Promise<Finding | undefined> {
  const { isTaken, holderOf } = await facts(listeners);
  const taken: Taken[] = [];
  for (const protocol of ['tcp', 'udp'] as const) {
    const ports = wanted[protocol].filter((port) => isTaken(protocol, port));
    for (const port of ports.sort((a, b) => a - b)) {
      taken.push({ protocol, port, ...(await holderOf(protocol, port)) });
    }
  }
  if (taken.length === 0) {
    return undefined;
  }
  const units = new Set(taken.flatMap(({ unit }) => unit ?? []));
  return {
    code: 'PORT_IN_USE',
    message: `These ports are taken: ${taken.map(tell).join(', ')}`,
    hint: 'Stop the program that holds them, or move it to another port',
    ...(units.size === 0 ? {} : { fix: `sudo systemctl disable --now ${[...units].join(' ')}` }),
    details: {
      ports: taken.map(({ port, protocol, pid = null, program = null, unit = null }) => ({
        ...{ port, protocol, pid, program, unit },
      })),
    },
  };
}

function tell({ protocol, port, pid, program, unit }: Taken): string {
  const name = protocol === 'tcp' ? String(port) : `${port}/udp`;
  if (pid === undefined) {
    return `${name} by an unknown process`;
  }
  const where = unit === undefined ? `pid ${pid}` : `pid ${pid}, ${unit}`;
  return `${name} by ${program ?? 'a process'} (${where})`;
}
