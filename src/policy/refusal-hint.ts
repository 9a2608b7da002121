const SHOW = 'What is allowed here: pipeops-agent policy show';
const ROOT = 'Root on this machine can allow it';
const BY_FILE = 'sudo pipeops-agent policy apply --file FILE';

/**
 * What root on this machine runs to allow what a rule refuses.
 * @param rule as a refusal carries it: `standard/exec`, `file/commands.deny[0]`
 */
export function refusalHint(rule: string): string {
  return `${wayToAllow(rule)}. ${SHOW}`;
}

function wayToAllow(rule: string): string {
  const [source = '', name = ''] = rule.split('/');
  if (source === 'file') {
    return `${ROOT} by a policy without the rule "${rule}": ${BY_FILE}`;
  }
  switch (name) {
    case 'exec':
    case 'attach':
    case 'port_forward':
      return byPresetOr('operate', `${name}: true`);
    case 'secrets.read':
      return byPresetOr('operate', 'secrets: {read: true}');
    case 'secrets.write':
      return byPresetOr('standard', 'secrets: {write: true}');
    case 'commands':
      return `${ROOT}: sudo pipeops-agent policy apply --preset standard`;
    case 'resources':
      return source === 'read-only'
        ? byPresetOr('standard', 'resources')
        : `${ROOT} by "resources" in a policy: ${BY_FILE}`;
    case 'pod-security':
      return `${ROOT} by "pod_security: privileged" in a policy: ${BY_FILE}`;
    case 'tunnel.kubernetes_api':
      return `${ROOT} by "tunnel: {kubernetes_api: true}" in a policy: ${BY_FILE}`;
    case 'host.snapshot':
    case 'host.join_token':
    case 'host.server_token':
    case 'host.upgrade_agent':
    case 'host.restart_k3s':
    case 'host.support_bundle':
    case 'host.upgrade_k3s':
      return `${ROOT} by "host: {${name.slice('host.'.length)}: allow}" in a policy: ${BY_FILE}`;
    case 'protected-namespaces':
      return "No policy allows it: these namespaces are the cluster's and the agent's own";
    case 'protected-names':
    case 'namespaces':
    case 'own-tokens':
    case 'webhooks':
      return 'No policy allows it: docs/POLICY.md says what for';
    default:
      return 'Only root on this machine can change what is allowed';
  }
}

function byPresetOr(preset: string, line: string): string {
  return (
    `${ROOT}: sudo pipeops-agent policy apply --preset ${preset}, ` +
    `or by "${line}" in a policy: ${BY_FILE}`
  );
}
