/**
 * What Kubernetes itself checks of every write of the agent's account, whatever the way and the
 * encoding of its body: the wall behind the local policy, which root installs and the agent cannot
 * change (kubernetes.io, "Validating Admission Policy", v1 since Kubernetes 1.30). RBAC cannot say
 * any of it: it knows neither namespace patterns nor what is in an object.
 */

import { KINDS, typeOf } from '../../core/kinds.ts';
import type { EffectivePolicy } from '../effective.ts';
import { PODS_VARIABLE, podValidations } from '../pod-security/cel.ts';
import type { AdmissionAccount } from './account.ts';
import { ACCOUNT_VARIABLES, accountValidations } from './rules.ts';

/** The policy and its binding, which carry the labels given. */
export function admissionManifests(
  account: AdmissionAccount,
  { file, podSecurity }: EffectivePolicy,
  labels: Readonly<Record<string, string>>,
): readonly unknown[] {
  const metadata = { name: account.name, labels };
  const user = `system:serviceaccount:${account.namespace}:${account.serviceAccount}`;
  return [
    {
      ...typeOf(KINDS.admissionPolicy),
      metadata,
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [
            { apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'] },
          ],
        },
        matchConditions: [
          { name: 'the-agent', expression: `request.userInfo.username == '${user}'` },
        ],
        variables: [...ACCOUNT_VARIABLES, PODS_VARIABLE],
        validations: [
          ...accountValidations(account, file.namespaces, podSecurity.level),
          ...podValidations(podSecurity.level),
        ].map((validation) => ({ ...validation, reason: 'Forbidden' })),
      },
    },
    {
      ...typeOf(KINDS.admissionPolicyBinding),
      metadata,
      spec: { policyName: account.name, validationActions: ['Deny'] },
    },
  ];
}
