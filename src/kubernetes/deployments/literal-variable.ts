/**
 * Kubernetes reads values of environment variables as a small language (k8s.io/kubernetes,
 * third_party/forked/golang/expansion): `$(NAME)` is another variable, and `$$` is `$`.
 */

/** Written so that the container gets the very value; other `$` than those mean nothing and stay. */
export function literalVariable(value: string): string {
  return value.replace(/\$(?=[$(])/g, '$$$$');
}
