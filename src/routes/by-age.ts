interface Aged {
  /** ISO time. */
  readonly createdAt: string;
  readonly namespace: string;
  readonly name: string;
}

/** The oldest first, then by name: the first to claim something gets it. */
export function byAge<T extends Aged>(rows: readonly T[]): readonly T[] {
  const keyed = rows.map((row) => ({ row, key: `${row.createdAt} ${row.namespace}/${row.name}` }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ row }) => row);
}
