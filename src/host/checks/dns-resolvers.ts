import { resolvConfs } from '../facts/resolv-conf.ts';
import { type AskedResolver, resolverAnswers } from '../facts/resolver-answers.ts';
import { type Check, EVERYWHERE } from './check.ts';

/** systemd-resolved (systemd-resolved.service(8)). */
const STUB = '127.0.0.53';

export const resolversAnswer: Check = {
  id: 'dns-resolvers',
  title: 'DNS resolvers',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'Names of the control plane, of registries and in pods are resolved there; each silent resolver costs seconds every time.',
  remedy:
    'Take a silent resolver out of `/etc/resolv.conf`, or have a firewall pass UDP and TCP to its port 53. ' +
    'Where systemd-resolved writes the file: `resolvectl status` shows where its resolvers come from.',
  needs: [resolvConfs, resolverAnswers],
  run: async (facts) => {
    const { system } = await facts(resolvConfs);
    const asked = await facts(resolverAnswers);
    if (system.nameservers.length === 0) {
      return {
        code: 'CHECK_FAILED',
        message: `${system.path} names no resolver: only names in /etc/hosts can be resolved`,
        hint: `Add a line "nameserver ADDRESS" to ${system.path}, or configure DNS where this system's network is set up`,
      };
    }
    const silent = asked.filter(({ answer }) => isDeaf(answer));
    if (silent.length === 0) {
      return undefined;
    }
    const all = silent.length === asked.length ? 'No resolver answers' : 'Not all resolvers answer';
    return {
      code: 'CHECK_FAILED',
      message: `${all}: ${silent.map(words).join(', ')} (${system.path})`,
      hint: silent.some(({ address }) => address === STUB)
        ? 'Start systemd-resolved again'
        : `Correct ${system.path}, or have the firewall pass port 53 of UDP and TCP to them`,
      ...(silent.some(({ address }) => address === STUB)
        ? { fix: 'sudo systemctl restart systemd-resolved' }
        : {}),
      details: { file: system.path, resolvers: asked },
    };
  },
};

function isDeaf({ kind }: AskedResolver['answer']): boolean {
  return kind === 'silent' || kind === 'unreachable';
}

function words({ address, answer }: AskedResolver): string {
  return answer.kind === 'unreachable' ? `${address}: ${answer.why}` : `${address} stays silent`;
}
