import { K3S_UNITS } from '../../core/k3s-places.ts';
import { k3sCertificates } from '../facts/k3s-certificates.ts';
import { now } from '../facts/now.ts';
import { subject } from '../facts/subject.ts';
import { type K3sCertificate, ROTATION_ID } from '../k3s/certificates.ts';
import { type Check, FIX_BY_DOCTOR, type Finding } from './check.ts';

const DAY_MS = 24 * 3_600_000;
/** k3s makes them anew at its start when they end within 120 days. */
const DAYS_LEFT_MIN = 30;

export const k3sCertificatesLast: Check = {
  id: 'k3s-certificates',
  title: 'Certificates of k3s',
  severity: 'blocks',
  cost: 'dear',
  roles: ['server', 'worker'],
  why: 'When one has ended, the parts of Kubernetes no longer talk to each other, and the node is lost.',
  remedy: `They last a year, and k3s makes them anew at each start that comes less than 120 days before their end. The
agent restarts it 60 days before, unless \`host: {restart_k3s: deny}\` in the policy forbids it, or k3s was adopted:
then restart it once in a while. Pods keep running. After the end of one: \`sudo k3s certificate rotate\`, with
k3s stopped. One that is not valid yet was made while the clock was ahead (or the clock is behind now: the
finding says what it shows). With the right clock \`doctor --fix\` has k3s make it anew. The authorities last ten years: \`k3s certificate rotate-ca\` (docs.k3s.io, "certificate").`,
  repair: ROTATION_ID,
  needs: [k3sCertificates, now, subject],
  run: async (facts) => {
    const certificates = await facts(k3sCertificates);
    const first = certificates.toSorted((a, b) => a.endsAt.getTime() - b.endsAt.getTime())[0];
    if (first === undefined) {
      return { notChecked: 'k3s has made none yet' };
    }
    const time = await facts(now);
    const early = certificates.filter(({ beginsAt }) => beginsAt > time);
    if (early.length > 0) {
      return notYet(early, time);
    }
    const leftMs = first.endsAt.getTime() - time.getTime();
    if (leftMs >= DAYS_LEFT_MIN * DAY_MS) {
      return undefined;
    }
    const unit = K3S_UNITS[(await facts(subject)).k3sRole];
    return {
      code: 'CHECK_FAILED',
      message: tell(first, Math.floor(leftMs / DAY_MS)),
      ...(first.isAuthority
        ? { hint: 'Change the authority: docs.k3s.io, "k3s certificate rotate-ca"' }
        : {
            hint: 'Restart k3s, which makes them anew; pods keep running',
            fix: `sudo systemctl restart ${unit}`,
          }),
      ...(leftMs > 0 ? { onlyWarns: true as const } : {}),
    };
  },
};

function notYet(early: readonly K3sCertificate[], time: Date): Finding {
  const worst = early.find(({ isAuthority }) => isAuthority) ?? early[0];
  const begins = worst?.beginsAt.toISOString().slice(0, 16) ?? '';
  return {
    code: 'CHECK_FAILED',
    message: `A certificate of k3s is not valid before ${begins}, and this clock shows ${time.toISOString().slice(0, 16)}: ${worst?.path}`,
    ...(worst?.isAuthority === true
      ? {
          hint: 'If this clock is wrong, set it. If it is right, the authority was made while it was ahead: wait until then, or install anew',
        }
      : {
          hint: 'If this clock is wrong, set it. If it is right, have k3s make them anew; pods keep running',
          fix: FIX_BY_DOCTOR,
        }),
  };
}

function tell({ path, endsAt }: K3sCertificate, days: number): string {
  const when = endsAt.toISOString().slice(0, 10);
  return days >= 0
    ? `A certificate of k3s ends in ${days} days, on ${when}: ${path}`
    : `A certificate of k3s has ended on ${when}: ${path}`;
}
