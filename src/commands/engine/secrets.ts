import type { Log, LogFields } from '../../core/ports.ts';
import { passwordIn, redact } from '../../core/text/redact.ts';
import { literalVariable } from '../../kubernetes/deployments/literal-variable.ts';
import { isSecretName } from './secret-names.ts';

/** Secrets searched for in one command's output, at most. */
const SECRETS_MAX = 1_000;
/** How deep a payload is searched. */
const DEPTH_MAX = 8;

/**
 * The values in a payload or an object whose names look like secrets: fields, and environment
 * variables given as a map or as Kubernetes has them, `{name, value}`. From an address with a
 * password, the password, whatever the field's name. Each value as it is, and as deploy writes it
 * for Kubernetes.
 */
export function secretsOf(payload: unknown): readonly string[] {
  const found = new Set<string>();
  collect(payload, found, 0);
  return [...new Set([...found].flatMap((secret) => [secret, literalVariable(secret)]))];
}

/** The secrets of an object of Kubernetes; of a Secret, every value, as it is and decoded. */
export function secretsOfObject(object: Readonly<Record<string, unknown>>): readonly string[] {
  const found = new Set(secretsOf(object));
  const { kind, data, stringData } = object;
  if (kind !== 'Secret') {
    return [...found];
  }
  for (const value of textsOf(stringData)) {
    found.add(value);
  }
  for (const value of textsOf(data)) {
    found.add(value);
    found.add(Buffer.from(value, 'base64').toString());
  }
  return [...found].slice(0, SECRETS_MAX);
}

function textsOf(map: unknown): readonly string[] {
  const values = typeof map === 'object' && map !== null ? Object.values(map) : [];
  return values.filter((value) => typeof value === 'string');
}

function collect(value: unknown, found: Set<string>, depth: number): void {
  if (typeof value !== 'object' || value === null || depth > DEPTH_MAX) {
    return;
  }
  const variable: { readonly name?: unknown; readonly value?: unknown } = value;
  if (typeof variable.value === 'string' && isSecretName(String(variable.name ?? ''))) {
    found.add(variable.value);
  }
  // Not the entries of an array: indexes say nothing, and there may be very many.
  const names = Array.isArray(value) ? undefined : Object.keys(value);
  for (const [index, each] of Object.values(value).entries()) {
    if (found.size >= SECRETS_MAX) {
      return;
    }
    if (typeof each === 'string') {
      if (isSecretName(names?.[index] ?? '')) {
        found.add(each);
      }
      addPassword(each, found);
    } else if (typeof each === 'object') {
      collect(each, found, depth + 1);
    }
  }
}

function addPassword(text: string, found: Set<string>): void {
  const password = passwordIn(text);
  if (password !== undefined) {
    found.add(password);
  }
}

/** Data without its secrets. If it has none, as nearly always, the same object is returned. */
export function redactData(
  data: Readonly<Record<string, unknown>>,
  secrets: readonly string[],
): Readonly<Record<string, unknown>> {
  const text = JSON.stringify(data);
  const escaped = secrets.map((secret) => JSON.stringify(secret).slice(1, -1));
  return redact(text, escaped) === text ? data : redactObject(data, secrets);
}

function redactObject(object: object, secrets: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [
      redact(name, secrets),
      redactValue(value, secrets),
    ]),
  );
}

function redactValue(value: unknown, secrets: readonly string[]): unknown {
  if (typeof value === 'string') {
    return redact(value, secrets);
  }
  if (Array.isArray(value)) {
    return value.map((each) => redactValue(each, secrets));
  }
  return typeof value === 'object' && value !== null ? redactObject(value, secrets) : value;
}

/** A log in whose lines the secrets of a command do not appear. */
export function redactingLog(log: Log, secrets: readonly string[]): Log {
  if (secrets.length === 0) {
    return log;
  }
  const clean = (fields: LogFields = {}): LogFields =>
    Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        name,
        typeof value === 'string' ? redact(value, secrets) : value,
      ]),
    );
  return {
    error: (message, fields) => log.error(redact(message, secrets), clean(fields)),
    warn: (message, fields) => log.warn(redact(message, secrets), clean(fields)),
    info: (message, fields) => log.info(redact(message, secrets), clean(fields)),
    debug: (message, fields) => log.debug(redact(message, secrets), clean(fields)),
    with: (fields) => redactingLog(log.with(clean(fields)), secrets),
  };
}
