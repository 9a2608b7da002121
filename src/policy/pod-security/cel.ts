/** The pod security rules as expressions of CEL, for Kubernetes to ask (kubernetes.io, "CEL in Kubernetes"). */
import {
  CONTAINER_LISTS,
  type PathStep,
  POD_RULES,
  type PodRule,
  type PodSecurityLevel,
  stepsOf,
} from './rules.ts';

/** An expression that has to be true, and the message when it is not. */
export interface Validation {
  readonly expression: string;
  readonly message: string;
}

/** Needs the variable `pods`: every pod or template of one in the object, each with metadata and spec. */
export function podValidations(level: PodSecurityLevel): readonly Validation[] {
  return POD_RULES[level].map((rule) => ({
    expression: `variables.pods.all(t, ${conditionOf(rule)})`,
    message: `The local policy does not allow ${rule.problem} (pod-security)`,
  }));
}

/** A template's spec may be anything in an object that is not of Kubernetes itself. */
const isPod = (owner: string) =>
  `type(${owner}) == map && has(${owner}.spec) && type(${owner}.spec) == map && has(${owner}.spec.containers)`;

export const PODS_VARIABLE = {
  name: 'pods',
  expression:
    'object == null ? [] : ' +
    [
      `(${isPod('object')} ? [object] : [])`,
      `(has(object.spec) && type(object.spec) == map && has(object.spec.template) && ${isPod('object.spec.template')}` +
        ' ? [object.spec.template] : [])',
      '(has(object.spec) && type(object.spec) == map && has(object.spec.jobTemplate)' +
        ' && type(object.spec.jobTemplate) == map && has(object.spec.jobTemplate.spec)' +
        ' && type(object.spec.jobTemplate.spec) == map && has(object.spec.jobTemplate.spec.template)' +
        ` && ${isPod('object.spec.jobTemplate.spec.template')} ? [object.spec.jobTemplate.spec.template] : [])`,
    ].join(' + '),
};

const CONTAINERS = CONTAINER_LISTS.map(
  (field) => `(has(t.spec.${field}) && type(t.spec.${field}) == list ? t.spec.${field} : [])`,
).join(' + ');
const FOR_WINDOWS = "(has(t.spec.os) && t.spec.os.name == 'windows')";

const eachContainer = (condition: string) => `(${CONTAINERS}).all(c, ${condition})`;

function conditionOf(rule: PodRule): string {
  switch (rule.kind) {
    case 'only':
      return placed(rule, (value) => `${value} in ${literal(rule.values)}`);
    case 'never':
      return placed(rule, (value) => `!(${value} in ${literal(rule.values)})`);
    case 'must': {
      const isFine = (value: string) => `${value} in ${literal(rule.values)}`;
      const steps = stepsOf(rule.path);
      const own = atPath('c', steps, isFine, 'false');
      const condition = rule.inherited
        ? `(${atPath('c', steps, () => 'true', 'false')} ? ${own} : ${atPath('t.spec', steps, isFine, 'false')})`
        : own;
      return rule.onWindows
        ? eachContainer(condition)
        : `${FOR_WINDOWS} || ${eachContainer(condition)}`;
    }
    case 'contains':
      return `${FOR_WINDOWS} || ${eachContainer(
        atPath('c', stepsOf(rule.path), (list) => `'${rule.value}' in ${list}`, 'false'),
      )}`;
    case 'volumes':
      return `!has(t.spec.volumes) || t.spec.volumes.all(v, v.all(k, k in ${literal(rule.fields)}))`;
    case 'annotations':
      return (
        '!has(t.metadata) || !has(t.metadata.annotations) || t.metadata.annotations.all(k,' +
        ` !k.startsWith('${rule.prefix}') || t.metadata.annotations[k] in ${literal(rule.values)}` +
        ` || t.metadata.annotations[k].startsWith('${rule.valuePrefix}'))`
      );
  }
}

function placed(
  { at, paths }: { readonly at: 'pod' | 'container'; readonly paths: readonly string[] },
  condition: (value: string) => string,
): string {
  const owner = at === 'pod' ? 't.spec' : 'c';
  const all = paths
    .map((path) => `(${atPath(owner, stepsOf(path), condition, 'true')})`)
    .join(' && ');
  return at === 'pod' ? all : eachContainer(all);
}

/**
 * The condition on the value at a path; on each value, when there are lists on the way.
 * @param absent the result when there is no value
 */
function atPath(
  owner: string,
  [step, ...rest]: readonly PathStep[],
  condition: (value: string) => string,
  absent: 'true' | 'false',
): string {
  if (step === undefined) {
    return condition(owner);
  }
  const value = `${owner}.${step.field}`;
  const item = `i${rest.length}`;
  const inner = step.isList
    ? `${value}.all(${item}, ${atPath(item, rest, condition, absent)})`
    : atPath(value, rest, condition, absent);
  return absent === 'true' ? `!has(${value}) || ${inner}` : `has(${value}) && ${inner}`;
}

function literal(values: readonly (string | number | boolean)[]): string {
  return `[${values.map((value) => (typeof value === 'string' ? `'${value}'` : String(value))).join(', ')}]`;
}
