/**
 * Kubernetes reads values of environment variables as a small language (k8s.io/kubernetes,
 * third_party/forked/golang/expansion): `$(NAME)` is another variable, and `$$` is `$`.
 */

/** Written so that the container gets exactly this value; any other `$` means nothing and stays. */
export function literalVariable(value: string): string {
  return value.replace(/\$(?=[$(])/g, '$$$$');
}
