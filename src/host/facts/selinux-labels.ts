import { K3S_DATA_DIRECTORY, K3S_EXECUTABLE, K3S_UNITS } from '../../core/k3s-places.ts';
import type { Fact } from './fact.ts';
import { subject } from './subject.ts';
import { outputOf } from './tool-output.ts';

/** What the rules of k3s give a type of its own (k3s-selinux, "policy/centos9/k3s.fc"). */
const LABELLED = [K3S_EXECUTABLE, K3S_DATA_DIRECTORY];

export interface SelinuxLabels {
  /** Paths that have another type than the rules say: `/usr/local/bin/k3s`. */
  readonly wrong: readonly {
    readonly path: string;
    readonly is: string;
    readonly should: string;
  }[];
  /** The type that k3s runs as: `container_runtime_t`; undefined where it does not run, or nobody says. */
  readonly runsAs: string | undefined;
}

/** Undefined where nothing here compares labels. */
export const selinuxLabels: Fact<SelinuxLabels | undefined> = {
  id: 'selinux-labels',
  read: async (deps, facts) => {
    // It ends with 1 where one is wrong, so what it says counts.
    const said = await deps.exec
      .run(['matchpathcon', '-V', ...LABELLED], { timeoutMs: 2_000, signal: deps.signal })
      .catch(() => undefined);
    if (said === undefined) {
      return undefined;
    }
    const wrong = said.stdout.split('\n').flatMap((line) => {
      const [, path = '', is = '', should = ''] =
        /^(\S+) has context (\S+), should be (\S+)$/.exec(line.trim()) ?? [];
      return typeOf(is) === typeOf(should)
        ? []
        : [{ path, is: typeOf(is), should: typeOf(should) }];
    });
    const unit = K3S_UNITS[(await facts(subject)).k3sRole];
    const argv = ['systemctl', 'show', '--property=MainPID', '--value', unit] as const;
    const pid = (await outputOf(deps, argv))?.trim() ?? '';
    const context = /^[1-9]\d*$/.test(pid)
      ? await deps.files.readText(`/proc/${pid}/attr/current`).catch(() => undefined)
      : undefined;
    return { wrong, runsAs: context === undefined ? undefined : typeOf(context) };
  },
};

/** Of `system_u:object_r:container_runtime_exec_t:s0` the third: the others do not decide here. */
function typeOf(context: string): string {
  return context.replaceAll('\0', '').trim().split(':')[2] ?? '';
}
