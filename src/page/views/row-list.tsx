import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { useAnswer } from '../agent/use-answer.ts';
import { Pager } from '../parts/pager.tsx';
import { type Column, Table } from '../parts/table.tsx';
import { Trouble } from '../parts/trouble.tsx';

const LIMIT = 50;
/** Namespaces to choose from; others are found by their name. */
const NAMESPACES_MAX = 500;

interface PageOf<Row> {
  readonly total: number;
  readonly items: readonly Row[];
}

interface RowListProps<Row, Page> {
  /** Below /api. Its last part is what news call the kind. */
  readonly path: string;
  readonly noun: string;
  readonly columns: readonly Column<Row>[];
  readonly keyOf: (row: Row) => string;
  readonly hasNamespace?: boolean;
  /** By which field it is sorted at first. */
  readonly firstSort?: string;
  readonly findBy?: string;
  /** What stands above the rows. */
  readonly above?: (page: Page) => ComponentChildren;
}

/** Rows of one kind. The agent sorts, filters and pages: of any number of rows, 50 come here. */
export function RowList<Row, Page extends PageOf<Row> = PageOf<Row>>({
  path,
  noun,
  columns,
  keyOf: key,
  hasNamespace = true,
  firstSort = 'name',
  findBy = 'name',
  above,
}: RowListProps<Row, Page>) {
  const [sort, setSort] = useState(firstSort);
  const [name, setName] = useState('');
  const [namespace, setNamespace] = useState('');
  const [offset, setOffset] = useState(0);
  const query = new URLSearchParams({ sort, offset: String(offset), limit: String(LIMIT) });
  if (name !== '') {
    query.set('name', name);
  }
  if (namespace !== '') {
    query.set('namespace', namespace);
  }
  const { answer, last, error } = useAnswer<Page>(`${path}?${query}`, {
    isNews: ({ event, data }) => event === 'rows' && data.kinds.some((kind) => path.endsWith(kind)),
  });
  const first = (change: () => void) => {
    change();
    setOffset(0);
  };
  return (
    <>
      <div class="filters">
        <input
          type="search"
          placeholder={`A part of the ${findBy}`}
          aria-label={`Find ${noun} by ${findBy}`}
          value={name}
          onInput={({ currentTarget }) => first(() => setName(currentTarget.value.trim()))}
        />
        {hasNamespace && (
          <NamespaceChoice value={namespace} onChange={(to) => first(() => setNamespace(to))} />
        )}
      </div>
      <Trouble error={error} />
      {last !== undefined && (
        // The page before stays until this one is here: nothing jumps.
        <div aria-busy={answer === undefined}>
          {above?.(last)}
          <Table
            {...{ columns, sort, label: noun, keyOf: key, rows: last.items }}
            onSort={(to) => first(() => setSort(to))}
          />
          <Pager {...{ noun, offset, limit: LIMIT, total: last.total, onOffset: setOffset }} />
        </div>
      )}
    </>
  );
}

export function NamespaceChoice({
  value,
  onChange,
}: {
  readonly value: string;
  readonly onChange: (namespace: string) => void;
}) {
  const { answer } = useAnswer<PageOf<{ readonly name: string }>>(
    `k8s/namespaces?limit=${NAMESPACES_MAX}`,
    { isNews: ({ event, data }) => event === 'rows' && data.kinds.includes('namespaces') },
  );
  return (
    <select
      aria-label="Namespace"
      value={value}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
    >
      <option value="">All namespaces</option>
      {answer?.items.map(({ name }) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}
