import { expect, test } from 'bun:test';
import { podSecurityProblem } from '../../src/policy/pod-security.ts';

const container = { name: 'c', image: 'x' };
const withContext = (securityContext: object) => ({
  containers: [{ ...container, securityContext }],
});

const REFUSED: Readonly<Record<string, readonly [object, string]>> = {
  hostNetwork: [{ hostNetwork: true, containers: [container] }, 'hostNetwork in a pod'],
  hostPID: [{ hostPID: true, containers: [container] }, 'hostPID in a pod'],
  hostIPC: [{ hostIPC: true, containers: [container] }, 'hostIPC in a pod'],
  hostPath: [{ volumes: [{ name: 'v', hostPath: { path: '/' } }] }, 'a hostPath volume'],
  privileged: [withContext({ privileged: true }), 'privileged containers'],
  'privileged init container': [
    { initContainers: [{ ...container, securityContext: { privileged: true } }] },
    'privileged containers',
  ],
  capability: [withContext({ capabilities: { add: ['SYS_ADMIN'] } }), 'the capability SYS_ADMIN'],
  procMount: [withContext({ procMount: 'Unmasked' }), 'a procMount other than Default'],
  seccomp: [
    withContext({ seccompProfile: { type: 'Unconfined' } }),
    'a container without seccomp or AppArmor',
  ],
  'AppArmor of the pod': [
    { securityContext: { appArmorProfile: { type: 'Unconfined' } } },
    'a pod without seccomp or AppArmor',
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
    expect([name, objects.map(podSecurityProblem)]).toEqual([name, objects.map(() => problem)]);
  }
  expect(podSecurityProblem({ kind: 'Service', spec: { externalIPs: ['1.2.3.4'] } })).toContain(
    'externalIPs',
  );
});

test('ordinary pods, and things without any, are fine', () => {
  const pod = {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        ...container,
        ports: [{ containerPort: 80, hostPort: 0 }],
        securityContext: { privileged: false, capabilities: { drop: ['ALL'], add: ['CHOWN'] } },
      },
    ],
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
  expect(fine.map(podSecurityProblem)).toEqual(fine.map(() => undefined));
});
