import { K3S_UNITS } from '../../core/k3s-places.ts';
import type { StepFailure } from '../../core/probe.ts';
import {
  controlPlaneReached,
  largeRequestReached,
  smallPacketsReached,
} from '../facts/control-plane-reached.ts';
import { type LinkSizes, linkSizes } from '../facts/link-sizes.ts';
import type { Reached } from '../facts/reached.ts';
import { subject } from '../facts/subject.ts';
import { type Check, EVERYWHERE, type Finding } from './check.ts';
import { detailsOf, ENDPOINT_STEPS } from './endpoint-finding.ts';

/** Head of VXLAN around each packet between nodes, IP and UDP included (RFC 7348). */
const VXLAN_BYTES = 50;

export const largePacketsPass: Check = {
  id: 'path-mtu',
  title: 'Large packets',
  severity: 'warns',
  cost: 'dear',
  networkSteps: ENDPOINT_STEPS,
  roles: EVERYWHERE,
  why: 'Where large packets get lost without a word, small requests work and everything else hangs: images, logs, deployments.',
  remedy:
    'Some link on the way (a VPN, PPPoE, a cloud network) carries less than this machine thinks, and the ICMP ' +
    'messages that would say so are dropped. Let ICMP "fragmentation needed" pass, or lower the MTU of the ' +
    'link: `ip link set dev eth0 mtu 1400`, and for good where the network is set up. ' +
    'To measure: `ping -M do -s 1372 HOST`, where 28 bytes are added.',
  // All side by side: where one stays silent there is no time to begin another.
  needs: [controlPlaneReached, largeRequestReached, smallPacketsReached, linkSizes, subject],
  run: async (facts) => {
    const usual = await facts(controlPlaneReached);
    const links = await facts(linkSizes);
    const getsStuck = usual?.usual.some(({ walk: { failure } }) => isSilentTls(failure)) === true;
    const pair = getsStuck
      ? { small: await facts(smallPacketsReached), large: usual }
      : { small: usual, large: await facts(largeRequestReached) };
    const unit = K3S_UNITS[(await facts(subject)).k3sRole];
    return blackHole(pair.small, pair.large, links) ?? tooLargeForPods(links, unit);
  },
};

/** The first packet of TLS is a large one. */
function isSilentTls(failure: StepFailure | undefined): boolean {
  return failure?.step === 'tls' && failure.isSilent;
}

/** Small packets are answered, and large ones are not. */
function blackHole(
  small: Reached | undefined,
  large: Reached | undefined,
  { out: [link] }: LinkSizes,
): Finding | undefined {
  const lost = (large?.usual ?? []).find(({ walk, address }) => {
    const same = small?.usual.find((way) => way.address === address);
    return same !== undefined && same.walk.failure === undefined && walk.failure?.isSilent === true;
  });
  if (large === undefined || lost === undefined) {
    return undefined;
  }
  const device = link?.device ?? 'eth0';
  return {
    code: 'CHECK_FAILED',
    message: `Small packets to ${large.endpoint.url.host} are answered, large ones get lost: those of ${link?.mtu ?? 1_500} bytes do not get through`,
    hint: `Have ICMP "fragmentation needed" passed, or lower the MTU of ${device}`,
    fix: `sudo ip link set dev ${device} mtu 1400`,
    details: detailsOf(large),
  };
}

/** A packet between pods has to fit into one between nodes. */
function tooLargeForPods({ out, pods }: LinkSizes, unit: string): Finding | undefined {
  const narrow = out.find(({ mtu }) => pods !== undefined && pods.mtu + VXLAN_BYTES > mtu);
  return pods?.device !== 'flannel.1' || narrow === undefined
    ? undefined
    : {
        code: 'CHECK_FAILED',
        message: `Pods send packets of ${pods.mtu} bytes to other nodes, and with the ${VXLAN_BYTES} bytes around them they do not fit ${narrow.device} (${narrow.mtu})`,
        hint: 'k3s takes the size of that link at its start: start it again',
        fix: `sudo systemctl restart ${unit}`,
        details: { pods, out },
      };
}
