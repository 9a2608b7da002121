import { describe, expect, test } from 'bun:test';
import {
  appliedFields,
  isAppliedByAgent,
} from '../../../src/kubernetes/deployments/applied-fields.ts';

/** As Kubernetes 1.34 answers for a Deployment that two managers have changed. */
const DEPLOYMENT = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {
    name: 'web',
    namespace: 'shop',
    uid: 'u1',
    labels: { app: 'web', theirs: 'x' },
    finalizers: ['ours.io/a', 'theirs.io/b'],
    managedFields: [
      {
        manager: 'kubectl-set',
        operation: 'Update',
        fieldsV1: { 'f:metadata': { 'f:labels': { 'f:theirs': {} } } },
      },
      {
        manager: 'pipeops-agent',
        operation: 'Update',
        subresource: 'status',
        fieldsV1: { 'f:status': {} },
      },
      {
        manager: 'pipeops-agent',
        operation: 'Apply',
        fieldsV1: {
          'f:metadata': {
            'f:labels': { 'f:app': {} },
            'f:finalizers': { 'v:"ours.io/a"': {}, 'v:"gone.io/c"': {} },
          },
          'f:spec': {
            'f:replicas': {},
            'f:selector': {},
            'f:template': {
              'f:spec': {
                'f:containers': {
                  'k:{"name":"web"}': {
                    '.': {},
                    'f:name': {},
                    'f:image': {},
                    'f:env': { 'k:{"name":"A"}': { '.': {}, 'f:name': {}, 'f:value': {} } },
                    'f:ports': {
                      'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} },
                    },
                    'f:command': {},
                    'f:absent': {},
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
  spec: {
    replicas: 2,
    paused: true,
    selector: { matchLabels: { app: 'web' } },
    template: {
      spec: {
        containers: [
          { name: 'theirs', image: 'sidecar' },
          {
            name: 'web',
            image: 'web:1',
            imagePullPolicy: 'Always',
            command: ['/web', '--fast'],
            env: [
              { name: 'THEIRS', value: '1' },
              { name: 'A', value: '2' },
            ],
            ports: [{ containerPort: 80, protocol: 'TCP', name: 'http' }],
          },
        ],
      },
    },
  },
};

describe('appliedFields()', () => {
  test('gives just what the agent has applied', () => {
    expect(appliedFields(DEPLOYMENT)).toEqual({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: {
        name: 'web',
        namespace: 'shop',
        labels: { app: 'web' },
        finalizers: ['ours.io/a'],
      },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'web' } },
        template: {
          spec: {
            containers: [
              {
                name: 'web',
                image: 'web:1',
                command: ['/web', '--fast'],
                env: [{ name: 'A', value: '2' }],
                ports: [{ containerPort: 80, protocol: 'TCP' }],
              },
            ],
          },
        },
      },
    });
  });

  test('gives the name alone of what others made', () => {
    const { managedFields: _, ...metadata } = DEPLOYMENT.metadata;
    const foreign = { ...DEPLOYMENT, metadata };
    expect([isAppliedByAgent(DEPLOYMENT), isAppliedByAgent(foreign)]).toEqual([true, false]);
    expect(appliedFields(foreign)).toEqual({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'shop' },
    });
  });
});
