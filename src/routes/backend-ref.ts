/**
 * The backend of a rule of a Gateway API route (gateway-api.sigs.k8s.io, BackendRef), as far as it
 * is used.
 */
export interface BackendRef {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly port?: number;
  readonly weight?: number;
}

/**
 * @returns undefined when it is not a Service of this namespace: another namespace would have to
 *   grant it
 */
export function ownService(
  backend: BackendRef | undefined,
  namespace: string,
): { readonly name: string; readonly port: number } | undefined {
  const isOwn =
    (backend?.group ?? '') === '' &&
    (backend?.kind ?? 'Service') === 'Service' &&
    (backend?.namespace ?? namespace) === namespace;
  return backend?.port !== undefined && isOwn
    ? { name: backend.name, port: backend.port }
    : undefined;
}
