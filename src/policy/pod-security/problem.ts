/** The pod security rules asked of an object: what a command is about to write. */
import { asObject, listAt, objectAt, valueAt } from '../../core/json-values.ts';
import {
  CONTAINER_LISTS,
  type PathStep,
  POD_RULES,
  type PodRule,
  type PodSecurityLevel,
  stepsOf,
} from './rules.ts';

const VALUE_SHOWN_MAX = 64;

/** @returns what is not allowed, as the end of a sentence: `a hostPath volume` */
export function podSecurityProblem(level: PodSecurityLevel, object: unknown): string | undefined {
  for (const pod of podsIn(object)) {
    for (const rule of POD_RULES[level]) {
      const found = problemIn(rule, pod);
      if (found !== undefined) {
        return rule.problem + shown(found.value);
      }
    }
  }
  return undefined;
}

/** A pod itself, a template, a CronJob's template of templates: wherever there is one. */
function podsIn(object: unknown): readonly object[] {
  const spec = objectAt(object, 'spec');
  const job = objectAt(objectAt(spec, 'jobTemplate'), 'spec');
  return [asObject(object), objectAt(spec, 'template'), objectAt(job, 'template')];
}

interface Found {
  readonly value?: unknown;
}

function problemIn(rule: PodRule, template: object): Found | undefined {
  const pod = objectAt(template, 'spec');
  const containers = CONTAINER_LISTS.flatMap((list) => listAt(pod, list));
  switch (rule.kind) {
    case 'only':
      return valuesAt(rule, pod, containers).find(({ value }) => !isOneOf(rule.values, value));
    case 'never':
      return valuesAt(rule, pod, containers).find(({ value }) => isOneOf(rule.values, value));
    case 'must':
      return rule.onWindows || !isForWindows(pod)
        ? found(containers, (each) => {
            const own = valuesOn(each, stepsOf(rule.path));
            const all = own.length > 0 || !rule.inherited ? own : valuesOn(pod, stepsOf(rule.path));
            return all.some((value) => isOneOf(rule.values, value));
          })
        : undefined;
    case 'contains':
      return isForWindows(pod)
        ? undefined
        : found(containers, (each) =>
            valuesOn(each, stepsOf(`${rule.path}[]`)).includes(rule.value),
          );
    case 'volumes':
      return found(listAt(pod, 'volumes').flatMap(fieldsOf), (field) =>
        rule.fields.includes(field),
      );
    case 'annotations':
      return found(
        Object.entries(objectAt(objectAt(template, 'metadata'), 'annotations')),
        ([name, value]) =>
          !name.startsWith(rule.prefix) ||
          rule.values.some((each) => each === value) ||
          String(value).startsWith(rule.valuePrefix),
      );
  }
}

function found<T>(items: readonly T[], isFine: (item: T) => boolean): Found | undefined {
  return items.every(isFine) ? undefined : {};
}

function valuesAt(
  { at, paths }: { readonly at: 'pod' | 'container'; readonly paths: readonly string[] },
  pod: object,
  containers: readonly unknown[],
): readonly Found[] {
  const owners = at === 'pod' ? [pod] : containers;
  return owners.flatMap((owner) =>
    paths.flatMap((path) => valuesOn(owner, stepsOf(path)).map((value) => ({ value }))),
  );
}

/** All values at a path; to Kubernetes null is as good as nothing. */
function valuesOn(owner: unknown, [step, ...rest]: readonly PathStep[]): readonly unknown[] {
  if (step === undefined) {
    return [owner];
  }
  const values = step.isList ? listAt(owner, step.field) : [valueAt(owner, step.field)];
  return values.filter(isThere).flatMap((value) => valuesOn(value, rest));
}

function isOneOf(values: readonly unknown[], value: unknown): boolean {
  return values.includes(value);
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function fieldsOf(value: unknown): readonly string[] {
  return Object.entries(asObject(value)).flatMap(([field, each]) => (isThere(each) ? field : []));
}

function isForWindows(pod: object): boolean {
  return objectAt(pod, 'os')['name'] === 'windows';
}

function shown(value: unknown): string {
  return typeof value === 'string' && value !== '' ? ` (${value.slice(0, VALUE_SHOWN_MAX)})` : '';
}
