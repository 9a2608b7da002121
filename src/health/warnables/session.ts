import type { SessionSnapshot } from '../../control-plane/session/state.ts';
import type { Problem, Warnable } from '../warnable.ts';

/** A short time on another transport is usual after an outage. */
const TRANSPORT_VISIBLE_AFTER_MS = 5 * 60_000;
/** A change reaches one server after the other. */
const SHARING_VISIBLE_AFTER_MS = 60_000;
/** One odd message is no wrong clock. */
const CLOCK_VISIBLE_AFTER_MS = 60_000;
/** As `doctor` refuses it (host/checks/clock.ts): certificates that are made now are not valid yet for others. */
const SKEW_MS_MAX = 30_000;

export const session: Warnable = {
  id: 'session',
  title: 'Session',
  severity: 'blocks',
  dependsOn: [],
  visibleAfterMs: 0,
  why: 'The control plane sees, reaches and commands this cluster through it. Applications go on without it.',
  remedy: `The agent tries again by itself, forever; the message says why the last try failed and when the next
one comes. Look at the way there: \`sudo pipeops-agent doctor\`. A token that is refused is replaced with
\`sudo pipeops-agent install --token-file FILE\`.`,
  find: ({ now, session: known }) => (known === undefined ? [] : missing(now, known)),
};

function missing(now: Date, known: SessionSnapshot): readonly Problem[] {
  switch (known.phase) {
    case 'standalone':
    case 'standby':
    case 'connected':
      return [];
    case 'registering':
    case 'refused':
    case 'unreachable': {
      const { lastError } = known;
      const code = lastError?.code ?? 'NOT_REGISTERED';
      const what = lastError?.message ?? 'The control plane has not answered yet';
      const message = `${what} (${outage(now, known)})`;
      const hint = lastError?.hint ?? null;
      return [hint === null ? { code, message } : { code, message, hint }];
    }
  }
}

function outage(now: Date, { downSince, since, nextTry }: SessionSnapshot): string {
  const text = `no session since ${downSince ?? since}`;
  if (nextTry === null) {
    return text;
  }
  const inMs = new Date(nextTry).getTime() - now.getTime();
  return `${text}, next try in ${Math.max(0, Math.ceil(inMs / 1_000))} s`;
}

export const sessionTransport: Warnable = {
  id: 'session-transport',
  title: 'Transport of the session',
  severity: 'warns',
  dependsOn: ['session'],
  visibleAfterMs: TRANSPORT_VISIBLE_AFTER_MS,
  why: 'Over REST there are commands and reports, but neither proxy nor tunnel: nobody reaches the API or an application through the control plane.',
  remedy: `Something between this machine and the control plane does not let WebSockets pass, often a proxy or a
firewall: \`sudo pipeops-agent doctor\` shows where. Where REST is what you want, say so:
\`control_plane.transport: rest\`.`,
  find: ({ session: known }) =>
    known?.phase === 'connected' && known.transport === 'rest' && known.transportReason !== null
      ? [
          {
            code: 'CONTROL_PLANE_UNREACHABLE',
            message: `The session runs over REST, without proxy and tunnel: ${known.transportReason}`,
            hint: 'See what stops the WebSocket: sudo pipeops-agent doctor',
          },
        ]
      : [],
};

export const sharing: Warnable = {
  id: 'sharing',
  title: 'What the servers share',
  severity: 'warns',
  dependsOn: ['kubernetes'],
  visibleAfterMs: SHARING_VISIBLE_AFTER_MS,
  why: 'The servers of a cluster share one session, which another one takes over when its server is lost. This one is set up in another way than the rest.',
  remedy: `Another policy: apply the same file here, \`sudo pipeops-agent policy apply --file FILE\`; until then it allows no
more than the other does. Another control plane: \`sudo pipeops-agent install --api-url URL\`. Where nothing is
shared yet, install this version on the server that has the session, then here: \`sudo pipeops-agent install\`.`,
  find: ({ sharing: problems }) =>
    problems.map((message) => ({
      about: message,
      code: 'CHECK_FAILED',
      message,
      hint: 'Apply the same policy and settings as on the other servers: docs/INSTALL.md, "Several servers"',
    })),
};

export const clock: Warnable = {
  id: 'clock',
  title: 'Clock',
  severity: 'warns',
  dependsOn: [],
  visibleAfterMs: CLOCK_VISIBLE_AFTER_MS,
  why: 'Certificates and tokens are valid from one time to another: with a wrong clock they are refused.',
  remedy: `Set the clock, and let NTP keep it: \`sudo timedatectl set-ntp true\`, or chrony. It is compared with the
times that the control plane's messages carry. In a virtual machine look at the host as well.`,
  find: ({ clockSkewMs }) =>
    clockSkewMs === undefined || Math.abs(clockSkewMs) <= SKEW_MS_MAX
      ? []
      : [
          {
            code: 'CHECK_FAILED',
            message: `The clock of this machine is ${Math.round(Math.abs(clockSkewMs) / 1_000)} s ${clockSkewMs > 0 ? 'ahead of' : 'behind'} that of the control plane`,
            hint: 'Set it, and let NTP keep it: sudo timedatectl set-ntp true',
          },
        ],
};
