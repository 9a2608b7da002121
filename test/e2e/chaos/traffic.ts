/** A mix of commands, all the time, each with an effect that can be counted afterwards. */
import { WEB_IMAGE } from '../../vm/images.ts';
import type { Commander } from './commander.ts';
import { RefusedError } from './control-plane-process.ts';
import type { Ledger } from './ledger.ts';

/** Between two commands. */
const TICK_MS = 500;
/** Commands of one type without a result: a long outage must not pile up an hour of rollouts. */
const OPEN_MAX: Readonly<Record<string, number>> = { deploy: 2, scale: 2 };
const OPEN_OTHERS_MAX = 40;

export const NAMESPACE = 'chaos';
/** Its pod is where programs run; `exec` leaves a line in EFFECTS there. */
export const TOOLS = 'tools';
/** Programs that are cancelled run in its pod: those of one pod run one after the other. */
export const SLEEPER = 'sleeper';
/** Each deploy of it is another one, so that its generation counts them. */
export const DEPLOYED = 'deployed';
export const SCALED = 'scaled';
export const EFFECTS = '/tmp/effects';
/** In each deploy; nothing but the cluster and the control plane may have it. */
export const SECRET = 'chaos-password-61c1e2a4';

export interface NewCommand {
  readonly type: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly cancel?: boolean;
}

/** The n-th command of the mix. */
export function commandNumber(n: number): NewCommand {
  const round = Math.floor(n / MIX.length);
  return (MIX[n % MIX.length] ?? count)(n, round);
}

type Make = (n: number, round: number) => NewCommand;

const namespace = NAMESPACE;
const count: Make = (n) => ({
  type: 'exec',
  payload: exec(TOOLS, `echo ${n} >> ${EFFECTS}`),
});
const deploy: Make = (n) => ({ type: 'deploy', payload: deployment(DEPLOYED, n) });
const scale: Make = (_n, round) => ({
  type: 'scale',
  payload: { name: SCALED, namespace, replicas: round % 2, wait_seconds: 60 },
});
const cancelled: Make = () => ({
  type: 'exec',
  payload: { ...exec(SLEEPER, 'sleep 4'), timeout_seconds: 10 },
  cancel: true,
});
const pods: Make = () => ({ type: 'get_resources', payload: { kinds: ['pods'], namespace } });
const status: Make = () => ({ type: 'get_resources', payload: {} });

const MIX: readonly Make[] = [pods, count, deploy, count, status, cancelled, count, scale];

/** A Deployment of one pod that does nothing but wait. */
export function deployment(name: string, version: number): Readonly<Record<string, unknown>> {
  const environment = { VERSION: String(version), PASSWORD: SECRET };
  return { name, namespace, image: WEB_IMAGE, replicas: 1, environment, wait_seconds: 60 };
}

/** A program whose result is half a megabyte. */
export function bigOutput() {
  return exec(SLEEPER, 'yes | head -c 250000');
}

function exec(name: string, script: string) {
  return { name, namespace, command: ['sh', '-c', script], timeout_seconds: 30 };
}

export interface Traffic {
  /** Ids of the commands whose acceptance the control plane has confirmed. */
  readonly accepted: readonly string[];
  /** No more commands. */
  stop(): Promise<void>;
}

/** A call to a control plane that is killed ends like this, whatever became of the command. */
function isDown(thrown: unknown): undefined {
  if (thrown instanceof RefusedError) {
    throw thrown;
  }
}

type TrafficDeps = Pick<Commander, 'give' | 'cancel'> & { readonly ledger: Ledger };

/** Goes on while the control plane is down: what it did not accept is not counted. */
export function startTraffic({ give, cancel, ledger }: TrafficDeps): Traffic {
  const accepted: string[] = [];
  let stopped = false;
  const hasRoom = (type: string) =>
    ledger.open().filter((each) => each.type === type).length < (OPEN_MAX[type] ?? OPEN_OTHERS_MAX);
  const send = async ({ type, payload }: NewCommand) => {
    const id = await give(type, payload);
    accepted.push(id);
    return id;
  };
  const running = (async () => {
    for (let n = 0; !stopped; n += 1) {
      const command = commandNumber(n);
      const id = hasRoom(command.type) ? await send(command).catch(isDown) : undefined;
      await Bun.sleep(TICK_MS);
      if (command.cancel === true && id !== undefined) {
        await cancel(id).catch(isDown);
      }
    }
  })();
  return {
    accepted,
    stop: async () => {
      stopped = true;
      await running;
    },
  };
}
