/** Agents of PipeOps inside of the cluster, whatever somebody has called their Deployments. */
import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Exec } from '../../core/ports.ts';
import { kubectl } from '../k3s/kubectl.ts';
import { kubectlTrouble } from '../k3s/kubectl-words.ts';

export interface AgentDeployment {
  readonly namespace: string;
  readonly name: string;
}

/** What its installers call it, where nobody chose another name. */
const USUAL: AgentDeployment = { namespace: 'pipeops-system', name: 'pipeops-agent' };
/** Repositories of its images, without registry: of its installer, of its manifests, of its chart. */
const IMAGE = /(?:^|\/)(?:pipeops\/agent|pipeops(?:-k8s?)?-agent)$/;
/** Of one request to the API. */
const REQUEST_TIMEOUT = '10s';
/** A line for each Deployment, so that lists of thousands are short. */
const LINE = [
  '{.metadata.namespace}',
  '{.metadata.name}',
  String.raw`{.metadata.labels.app\.kubernetes\.io/name}`,
  '{.metadata.labels.app}',
  '{.spec.template.spec.containers[*].image}',
].join('{"\\t"}');

/** @throws AgentError KUBERNETES_API where the cluster does not say */
export async function findAgents(deps: {
  readonly exec: Exec;
  readonly places: Places;
}): Promise<readonly AgentDeployment[]> {
  const { exitCode, stdout, stderr } = await kubectl(deps, [
    ...['get', 'deployments', '--all-namespaces', `--request-timeout=${REQUEST_TIMEOUT}`],
    `--output=jsonpath={range .items[*]}${LINE}{"\\n"}{end}`,
  ]);
  if (exitCode !== 0) {
    const why = kubectlTrouble(stderr).text;
    throw new AgentError('KUBERNETES_API', `Cannot look for agents in the cluster: ${why}`, {
      hint: 'Check that k3s runs, then run the same command again: systemctl status k3s',
    });
  }
  return stdout.split('\n').flatMap((line) => agentIn(line) ?? []);
}

function agentIn(line: string): AgentDeployment | undefined {
  const [namespace = '', name = '', ...labels] = line.split('\t');
  const images = (labels.pop() ?? '').split(' ').map(repositoryOf);
  const isUsual = namespace === USUAL.namespace && name === USUAL.name;
  return isUsual || labels.includes(USUAL.name) || images.some((image) => IMAGE.test(image))
    ? { namespace, name }
    : undefined;
}

/** Without tag and digest: `ghcr.io/owner/name`. */
function repositoryOf(image: string): string {
  return image.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
}
