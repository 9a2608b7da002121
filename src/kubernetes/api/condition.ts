/** Whether an object's controller says that a condition holds (Kubernetes API conventions, "conditions"). */
export function isConditionTrue(
  conditions: readonly { readonly type: string; readonly status: string }[] | undefined,
  type: string,
): boolean {
  return conditions?.some((each) => each.type === type && each.status === 'True') ?? false;
}
