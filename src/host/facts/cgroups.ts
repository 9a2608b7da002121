import type { Fact } from './fact.ts';
import { mounts } from './mounts.ts';

export interface Cgroups {
  /** `hybrid`: v1, with a v2 tree beside it that has no controllers. */
  readonly layout: 'v2' | 'v1' | 'hybrid' | 'none';
  /** What can be limited here: `cpu`, `cpuset`, `memory`, `pids`. */
  readonly controllers: ReadonlySet<string>;
}

const ROOT = '/sys/fs/cgroup';

export const cgroups: Fact<Cgroups> = {
  id: 'cgroups',
  read: async (deps, facts) => {
    const below = (await facts(mounts)).filter(
      ({ path }) => path === ROOT || path.startsWith(`${ROOT}/`),
    );
    if (below.some(({ path, type }) => path === ROOT && type === 'cgroup2')) {
      const text = (await deps.files.readText(`${ROOT}/cgroup.controllers`)) ?? '';
      return { layout: 'v2', controllers: new Set(text.split(/\s+/).filter(Boolean)) };
    }
    const v1 = below.filter(({ type }) => type === 'cgroup');
    if (v1.length === 0) {
      return { layout: 'none', controllers: new Set() };
    }
    const controllers = new Set(v1.flatMap(({ options }) => [...options]));
    const layout = below.some(({ type }) => type === 'cgroup2') ? 'hybrid' : 'v1';
    return { layout, controllers };
  },
};
