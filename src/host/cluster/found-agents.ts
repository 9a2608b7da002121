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
/** Of each Deployment, so that lists of thousands are short. Images come last: they may hold every character. */
const FIELDS = [
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
  // Whoever names an image could write a line, and so have a person remove what is somebody else's. This nobody knows.
  const mark = crypto.randomUUID();
  const { exitCode, stdout, stderr } = await kubectl(deps, [
    ...['get', 'deployments', '--all-namespaces', `--request-timeout=${REQUEST_TIMEOUT}`],
    `--output=jsonpath={range .items[*]}{"${mark}"}${FIELDS}{end}`,
  ]);
  if (exitCode !== 0) {
    const why = kubectlTrouble(stderr).text;
    throw new AgentError('KUBERNETES_API', `Cannot look for agents in the cluster: ${why}`, {
      hint: 'Check that k3s runs, then run the same command again: systemctl status k3s',
    });
  }
  return stdout
    .split(mark)
    .slice(1)
    .flatMap((fields) => agentIn(fields) ?? []);
}

function agentIn(fields: string): AgentDeployment | undefined {
  const [namespace = '', name = '', ofChart = '', ofManifests = '', ...images] = fields.split('\t');
  const isUsual = namespace === USUAL.namespace && name === USUAL.name;
  const isLabelled = [ofChart, ofManifests].includes(USUAL.name);
  const isImage = images.some((each) =>
    each.split(/\s/).some((image) => IMAGE.test(repositoryOf(image))),
  );
  return isUsual || isLabelled || isImage ? { namespace, name } : undefined;
}

/** Without tag and digest: `ghcr.io/owner/name`. */
function repositoryOf(image: string): string {
  return image.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
}
