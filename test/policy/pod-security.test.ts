import { expect, test } from 'bun:test';
import { podSecurityProblem } from '../../src/policy/pod-security/problem.ts';
import type { PodSecurityLevel } from '../../src/policy/pod-security/rules.ts';
import { podSecurityFixtures } from './pod-security-fixtures.ts';

const container = { name: 'c', image: 'x' };
const withContext = (securityContext: object) => ({
  containers: [{ ...container, securityContext }],
});
const problemOf = (object: unknown) => podSecurityProblem('baseline', object);

test.each(['baseline', 'restricted'] as const)(
  "%s is Kubernetes' own: each of its fixtures is refused or allowed as it says",
  async (level) => {
    const fixtures = await podSecurityFixtures(level);
    expect(fixtures.length).toBeGreaterThan(40);
    const wrong = fixtures.filter(
      ({ pod, passes }) => (podSecurityProblem(level, pod) === undefined) !== passes,
    );
    expect(wrong.map(({ name }) => name)).toEqual([]);
    expect(fixtures.map(({ pod }) => podSecurityProblem('privileged', pod))).toEqual(
      fixtures.map(() => undefined),
    );
  },
);

const REFUSED: Readonly<Record<string, readonly [object, string]>> = {
  hostNetwork: [
    { hostNetwork: true, containers: [container] },
    'hostNetwork, hostPID or hostIPC in a pod',
  ],
  hostPath: [{ volumes: [{ name: 'v', hostPath: { path: '/' } }] }, 'a hostPath volume'],
  'a program in git': [
    { volumes: [{ name: 'v', gitRepo: { repository: 'x' } }] },
    'a gitRepo or flexVolume volume',
  ],
  'a driver of the node': [
    { volumes: [{ name: 'v', flexVolume: { driver: 'x/y' } }] },
    'a gitRepo or flexVolume volume',
  ],
  'privileged init container': [
    { initContainers: [{ ...container, securityContext: { privileged: true } }] },
    'privileged containers',
  ],
  'privileged ephemeral container': [
    { ephemeralContainers: [{ ...container, securityContext: { privileged: true } }] },
    'privileged containers',
  ],
  capability: [
    withContext({ capabilities: { add: ['SYS_ADMIN'] } }),
    'capabilities beyond the usual ones (SYS_ADMIN)',
  ],
  'AppArmor of the pod': [
    { securityContext: { appArmorProfile: { type: 'Unconfined' } } },
    'pods or containers without AppArmor (Unconfined)',
  ],
  hostPort: [
    { containers: [{ ...container, ports: [{ containerPort: 1, hostPort: 1 }] }] },
    'hostPort',
  ],
};

test('pods that would be root on the node are named, in every kind that makes pods', () => {
  for (const [name, [pod, problem]] of Object.entries(REFUSED)) {
    const objects = [
      { kind: 'Pod', spec: pod },
      { kind: 'Deployment', spec: { template: { spec: pod } } },
      { kind: 'CronJob', spec: { jobTemplate: { spec: { template: { spec: pod } } } } },
      // A template beside it does not hide the pod itself.
      { kind: 'Pod', spec: { ...pod, template: { spec: { containers: [container] } } } },
    ];
    expect([name, objects.map(problemOf)]).toEqual([name, objects.map(() => problem)]);
  }
});

test('an AppArmor annotation counts where the pod is described, not elsewhere', () => {
  const metadata = {
    annotations: { 'container.apparmor.security.beta.kubernetes.io/c': 'unconfined' },
  };
  const spec = { containers: [container] };
  const problem = 'pods or containers without AppArmor';
  expect([
    problemOf({ metadata, spec }),
    problemOf({ spec: { template: { metadata, spec } } }),
    problemOf({ spec: { jobTemplate: { spec: { template: { metadata, spec } } } } }),
    problemOf({ metadata: { annotations: { 'example.com/c': 'unconfined' } }, spec }),
  ]).toEqual([problem, problem, problem, undefined]);
});

test('ordinary pods, and things without any, are fine at every level', () => {
  const securityContext = {
    privileged: false,
    allowPrivilegeEscalation: false,
    runAsUser: 1_000,
    capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] },
    procMount: null,
  };
  const pod = {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ ...container, ports: [{ containerPort: 80, hostPort: 0 }], securityContext }],
    volumes: [{ name: 'v', emptyDir: {} }],
  };
  const fine = [
    { spec: { template: { spec: pod } } },
    { spec: 7 },
    {},
    null,
    [],
    'x',
    { spec: [] },
  ];
  const levels: readonly PodSecurityLevel[] = ['privileged', 'baseline', 'restricted'];
  expect(levels.map((level) => fine.map((each) => podSecurityProblem(level, each)))).toEqual(
    levels.map(() => fine.map(() => undefined)),
  );
});
