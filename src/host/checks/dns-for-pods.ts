import { K3S_DIRECTORY, K3S_MAIN_CONFIG_FILE } from '../../core/k3s-places.ts';
import { dnsForPods } from '../facts/dns-for-pods.ts';
import { isLocal, type ResolvConf, resolvConfs } from '../facts/resolv-conf.ts';
import { type Check, EVERYWHERE, type Finding } from './check.ts';

/** Of a kubelet (k8s.io/kubernetes, "pkg/apis/core/validation"): what is beyond is left out. */
const NAMESERVERS_MAX = 3;
const SEARCH_DOMAINS_MAX = 32;
const SEARCH_LENGTH_MAX = 2_048;
/** That the cluster puts before those of the machine: NAMESPACE.svc.cluster.local and the two above. */
const CLUSTER_DOMAINS = 3;
const CLUSTER_DOMAINS_LENGTH = 128;

export const dnsReachesPods: Check = {
  id: 'dns-for-pods',
  title: 'DNS for pods',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: "Pods ask CoreDNS, and CoreDNS asks this machine's resolvers. An address of loopback is CoreDNS itself there: it asks itself in a loop, and ends.",
  remedy:
    'k3s takes `/etc/resolv.conf`, or `/run/systemd/resolve/resolv.conf` where the first has an address of ' +
    'loopback (as with systemd-resolved and its 127.0.0.53), or makes one up with 8.8.8.8. To choose another: ' +
    `\`resolv-conf: /path\` in \`${K3S_MAIN_CONFIG_FILE}\`, with addresses that pods reach; then restart k3s.`,
  needs: [dnsForPods, resolvConfs],
  run: async (facts) => {
    const { file, isChosen } = await facts(dnsForPods);
    const { system } = await facts(resolvConfs);
    return file === undefined ? madeUp(system) : (loops(file, isChosen) ?? tooMuch(file));
  },
};

/** Without any resolver the machine has another problem, which is told elsewhere. */
function madeUp({ path, nameservers }: ResolvConf): Finding | undefined {
  return nameservers.length === 0
    ? undefined
    : {
        code: 'CHECK_FAILED',
        message: `${path} has only resolvers that pods cannot reach (${nameservers.join(', ')}), so k3s gives them 8.8.8.8`,
        hint: `Write the real resolvers into a file of its own and name it in ${K3S_MAIN_CONFIG_FILE}: resolv-conf: ${K3S_DIRECTORY}/resolv.conf`,
      };
}

function loops({ path, nameservers }: ResolvConf, isChosen: boolean): Finding | undefined {
  if (!isChosen) {
    return undefined;
  }
  if (nameservers.length === 0) {
    return {
      code: 'CHECK_FAILED',
      message: `resolv-conf of k3s is ${path}, which names no resolver`,
      hint: `Write "nameserver ADDRESS" into ${path}, or take resolv-conf out of k3s' configuration`,
    };
  }
  const local = nameservers.filter(isLocal);
  return local.length === 0
    ? undefined
    : {
        code: 'CHECK_FAILED',
        message: `resolv-conf of k3s is ${path}, where ${local.join(', ')} leads CoreDNS to itself: it ends with "Loop detected"`,
        hint: "Take resolv-conf out of k3s' configuration, or name a file with the real resolvers: /run/systemd/resolve/resolv.conf",
      };
}

function tooMuch({ path, nameservers, search }: ResolvConf): Finding | undefined {
  const length = search.join(' ').length;
  const tooMany =
    search.length + CLUSTER_DOMAINS > SEARCH_DOMAINS_MAX ||
    length + CLUSTER_DOMAINS_LENGTH > SEARCH_LENGTH_MAX;
  if (!tooMany && nameservers.length <= NAMESERVERS_MAX) {
    return undefined;
  }
  return {
    code: 'CHECK_FAILED',
    message: tooMany
      ? `${path} has ${search.length} search domains of ${length} characters: pods get only some of them`
      : `${path} has ${nameservers.length} resolvers: pods get only the first ${NAMESERVERS_MAX}`,
    hint: tooMany
      ? `Shorten the line "search" in ${path}: pods take ${SEARCH_DOMAINS_MAX - CLUSTER_DOMAINS} domains of the machine, and each makes every question longer`
      : `Leave the ${NAMESERVERS_MAX} that matter in ${path}`,
  };
}
