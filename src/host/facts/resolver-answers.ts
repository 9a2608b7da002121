import type { ResolverAnswer } from '../../core/probe.ts';
import { withoutBrackets } from '../../core/text/host-and-port.ts';
import { ipVersion } from '../../core/text/ip-version.ts';
import type { Fact } from './fact.ts';
import { resolvConfs } from './resolv-conf.ts';

/** Resolvers that programs use of a file (resolv.conf(5)). */
const RESOLVERS_MAX = 3;
/** For two questions. */
const ANSWER_LIMIT_MS = 2_000;
/** Asked where the control plane has an address and no name. */
const NAME_DEFAULT = 'update.k3s.io';

export interface AskedResolver {
  readonly address: string;
  readonly answer: ResolverAnswer;
}

/** What each resolver of this machine answers when it is asked by itself. */
export const resolverAnswers: Fact<readonly AskedResolver[]> = {
  id: 'resolver-answers',
  read: async (deps, facts) => {
    const { system } = await facts(resolvConfs);
    const probe = await deps.probe();
    const host = new URL(deps.subject.config.control_plane.url).hostname;
    const name = ipVersion(withoutBrackets(host)) === 0 ? host : NAME_DEFAULT;
    return Promise.all(
      system.nameservers
        .filter((address) => ipVersion(address) !== 0)
        .slice(0, RESOLVERS_MAX)
        .map(async (address) => ({
          address,
          answer: await probe.askResolver(address, name, ANSWER_LIMIT_MS),
        })),
    );
  },
};
