/** What goes through the agent is refused although the API server's own way allows it, and by what. */
import { WEB_PORT } from '../../vm/images.ts';

export interface Refusal {
  readonly script: string;
  /** The rule of the local policy that kubectl's message names. */
  readonly rule: string;
}

/** The preset `operate`: the cluster's own parts, and who may do what, are not the agent's. */
export const REFUSED_BY_OPERATE: readonly Refusal[] = [
  {
    script: 'k create configmap x -n kube-system',
    rule: 'operate/protected-namespaces',
  },
  { script: 'k get secrets -n kube-system', rule: 'operate/protected-namespaces' },
  { script: 'k get secrets -A', rule: 'operate/protected-namespaces' },
  {
    script: 'k patch namespace kube-system -p \'{"metadata":{"labels":{"a":"b"}}}\'',
    rule: 'operate/protected-namespaces',
  },
  { script: 'k create token pipeops-agent -n pipeops-system', rule: 'operate/resources' },
  { script: 'k get clusterroles', rule: 'operate/resources' },
  {
    script: 'k create clusterrolebinding x --clusterrole=cluster-admin --user=x',
    rule: 'operate/resources',
  },
  { script: 'k delete node nobody', rule: 'operate/resources' },
  { script: 'k delete namespace "$NS"', rule: 'operate/resources' },
  { script: 'k delete --raw "/api/v1/namespaces/$NS/configmaps"', rule: 'operate/resources' },
  { script: 'k get --raw /metrics', rule: 'proxy/non-resource' },
  { script: 'k get --raw /logs/', rule: 'proxy/non-resource' },
  { script: 'k get --raw /api/v1/nodes/nobody/proxy/pods', rule: 'operate/resources' },
  { script: 'k debug box --image=x --attach=false', rule: 'operate/resources' },
];

/** The preset `standard`: applications, but not what is inside of them. */
export const REFUSED_BY_STANDARD: readonly Refusal[] = [
  { script: 'k exec box -- true', rule: 'standard/exec' },
  { script: 'k attach box', rule: 'standard/attach' },
  { script: 'k port-forward pod/box :80', rule: 'standard/port_forward' },
  { script: 'k get secrets', rule: 'standard/secrets.read' },
  {
    script: `k get --raw /api/v1/namespaces/$NS/pods/box:${WEB_PORT}/proxy/`,
    rule: 'standard/port_forward',
  },
  {
    script: 'k create configmap x -n kube-system',
    rule: 'standard/protected-namespaces',
  },
];
