/** Whatever happens in whatever order: in the end the control plane knows what the cluster has. */
import { expect, test } from 'bun:test';
import type { Random } from '../../src/core/ports.ts';
import type { Fault } from '../support/control-plane/faults.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { turn } from '../support/until.ts';
import {
  gateway,
  ingress,
  PATHS,
  type RouteStand,
  routeStand,
  service,
  tcpRoute,
} from './stand.ts';

const STEPS = 60;
const TURNS_BETWEEN_MAX = 30;
const SEEDS = [1, 2, 3, 4, 5, 6];
const INGRESSES = ['a', 'b', 'c', 'd'];
const HOSTS = ['one.example', 'two.example', 'three.example', 'four.example'];
const SERVICES = ['web', 'api'];
const GATEWAYS = ['edge', 'core'];
const PORTS = [5432, 6379];
const FAULTS = ['500', '429', 'drop', 'close'] as const;

/** What the cluster has, kept on its own. */
interface Model {
  readonly ingresses: Map<string, { readonly hosts: readonly string[]; readonly service: string }>;
  readonly services: Set<string>;
  readonly gateways: Map<string, readonly number[]>;
  readonly tcpRoutes: Map<string, string>;
}

test.each(SEEDS)(
  'history %d',
  async (seed) => {
    await using stand = await routeStand();
    const random = seededRandom(seed);
    const model: Model = {
      ingresses: new Map(),
      services: new Set(),
      gateways: new Map(),
      tcpRoutes: new Map(),
    };
    for (let step = 0; step < STEPS; step += 1) {
      await happen(stand, model, random);
      if (random.fraction() < 0.3) {
        await turns(random.fraction() * TURNS_BETWEEN_MAX);
      }
    }
    stand.controlPlane.faults.clear();
    await stand.knows(expectedRoutes(model));
    await stand.knowsTunnels(expectedTunnels(model));
    expect(stand.controlPlane.store.problems('')).toEqual([]);
  },
  30_000,
);

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) {
    await turn();
  }
}

async function happen(stand: RouteStand, model: Model, random: Random): Promise<void> {
  const { cluster } = stand;
  const draw = <T>(from: readonly T[]): T => from[Math.floor(random.fraction() * from.length)] as T;
  const some = <T>(from: readonly T[]) => from.filter(() => random.fraction() < 0.4);
  const changes: readonly (() => void | Promise<void>)[] = [
    () => putIngress(stand, model, draw(INGRESSES), some(HOSTS), draw(SERVICES)),
    () => putIngress(stand, model, draw(INGRESSES), some(HOSTS), draw(SERVICES)),
    () => {
      const name = draw(INGRESSES);
      model.ingresses.delete(name);
      cluster.remove(PATHS.ingresses, `shop/${name}`);
    },
    () => {
      const name = draw(SERVICES);
      model.services.add(name);
      cluster.put(PATHS.services, service(name));
    },
    () => {
      const name = draw(SERVICES);
      model.services.delete(name);
      cluster.remove(PATHS.services, `shop/${name}`);
    },
    () => {
      const [name, ports] = [draw(GATEWAYS), some(PORTS)];
      model.gateways.set(name, ports);
      cluster.put(PATHS.gateways, gateway(name, ports));
    },
    () => {
      const [name, to] = [draw(GATEWAYS), draw(SERVICES)];
      model.tcpRoutes.set(name, to);
      cluster.put(PATHS.tcpRoutes, tcpRoute(name, name, to));
    },
    () => {
      const name = draw(GATEWAYS);
      model.tcpRoutes.delete(name);
      cluster.remove(PATHS.tcpRoutes, `shop/${name}`);
    },
    () => addFault(stand, draw(FAULTS), draw(['routes', 'tunnels']), draw([1, 3, 8])),
    () => addFault(stand, draw(FAULTS), draw(['routes', 'tunnels']), draw([1, 3, 8])),
    () => cluster.disconnect(),
    () => cluster.compact(),
    () => stand.registered(),
    () => stand.restart(),
  ];
  await draw(changes)();
}

function putIngress(
  { cluster }: RouteStand,
  model: Model,
  name: string,
  hosts: readonly string[],
  to: string,
): void {
  model.ingresses.set(name, { hosts, service: to });
  const creationTimestamp = `2026-01-01T00:00:0${INGRESSES.indexOf(name)}Z`;
  cluster.put(PATHS.ingresses, {
    ...ingress(name, hosts, to, { creationTimestamp }),
  });
}

function addFault(
  { controlPlane }: RouteStand,
  kind: Fault['kind'],
  path: string,
  count: number,
): void {
  controlPlane.faults.add({
    kind,
    path,
    on: 'request',
    count,
    message: '',
    direction: 'out',
    delay_ms: 1,
    error: '',
    retry_after_seconds: 0,
  });
}

function expectedRoutes(model: Model): readonly string[] {
  return HOSTS.flatMap((host) => {
    const winner = INGRESSES.map((name) => model.ingresses.get(name)).find(
      (each) => each?.hosts.includes(host) === true && model.services.has(each.service),
    );
    return winner === undefined ? [] : `${host}/ ${winner.service}:80`;
  });
}

function expectedTunnels(model: Model): readonly string[] {
  return [...model.gateways].flatMap(([name, ports]) => {
    const to = model.tcpRoutes.get(name);
    return to === undefined ? [] : ports.map((port) => `tcp-UUID-shop.${name}-${port} ${to}`);
  });
}
