import type { ComponentChildren } from 'preact';

export interface Column<Row> {
  readonly title: string;
  /** By which field the agent sorts it. */
  readonly sort?: string;
  /** Numbers stand to the right. */
  readonly isNumber?: boolean;
  readonly cell: (row: Row) => ComponentChildren;
}

interface TableProps<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** `name`, `-name`. */
  readonly sort?: string;
  readonly onSort?: (sort: string) => void;
  readonly onPick?: (row: Row) => void;
  readonly picked?: string | undefined;
}

/** Rows as the agent gives them: it sorts, filters and pages. */
export function Table<Row>(props: TableProps<Row>) {
  const { label, columns, rows, keyOf, onPick, picked } = props;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
    <section class="scroll" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.title} column={column} {...props} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const key = keyOf(row);
            return (
              <tr key={key} class={key === picked ? 'picked' : undefined}>
                {columns.map(({ title, cell, isNumber }, index) => (
                  <td key={title} class={isNumber ? 'number' : undefined}>
                    {index === 0 && onPick !== undefined ? (
                      <button type="button" class="link" onClick={() => onPick(row)}>
                        {cell(row)}
                      </button>
                    ) : (
                      cell(row)
                    )}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

function Head<Row>({
  column: { title, sort: field, isNumber },
  sort,
  onSort,
}: TableProps<Row> & { readonly column: Column<Row> }) {
  if (field === undefined || onSort === undefined) {
    return (
      <th scope="col" class={isNumber ? 'number' : undefined}>
        {title}
      </th>
    );
  }
  const order = sort === field ? 'ascending' : sort === `-${field}` ? 'descending' : 'none';
  return (
    <th scope="col" aria-sort={order} class={isNumber ? 'number' : undefined}>
      <button type="button" onClick={() => onSort(sort === field ? `-${field}` : field)}>
        {title}
        <span aria-hidden="true">{ARROWS[order]}</span>
      </button>
    </th>
  );
}

const ARROWS = { ascending: ' ↑', descending: ' ↓', none: '' } as const;
