import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { GivenParams } from '../../protocol/local-api-address.ts';
import type { AnswerOf, GivenOf, RouteName } from '../../protocol/local-api-table.ts';
import { type IsNews, useAnswer } from '../agent/use-answer.ts';
import { Pager } from '../parts/pager.tsx';
import { type Column, Table } from '../parts/table.tsx';
import { Trouble } from '../parts/trouble.tsx';

const LIMIT = 50;
/** Namespaces to choose from; others are found by their name. */
const NAMESPACES_MAX = 500;

/** Routes that answer with a page of rows. */
type ListName = {
  [Name in RouteName]: AnswerOf<Name> extends {
    readonly total: number;
    readonly items: readonly unknown[];
  }
    ? Name
    : never;
}[RouteName];
type RowOf<Name extends ListName> = AnswerOf<Name>['items'][number];

interface RowListProps<Name extends ListName> {
  readonly name: Name;
  readonly noun: string;
  readonly columns: readonly Column<RowOf<Name>>[];
  readonly keyOf: (row: RowOf<Name>) => string;
  readonly hasNamespace?: boolean;
  /** Whether news tell that there are others. */
  readonly hasNews?: boolean;
  /** By which field it is sorted at first. */
  readonly firstSort?: string;
  readonly findBy?: string;
  /** What stands above the rows. */
  readonly above?: (page: AnswerOf<Name>) => ComponentChildren;
}

/** Rows of one kind. The agent sorts, filters and pages: of any number of rows, 50 come here. */
export function RowList<Name extends ListName>({
  name: route,
  noun,
  columns,
  keyOf: key,
  hasNamespace = true,
  hasNews = true,
  firstSort = 'name',
  findBy = 'name',
  above,
}: RowListProps<Name>) {
  const [sort, setSort] = useState(firstSort);
  const [name, setName] = useState('');
  const [namespace, setNamespace] = useState('');
  const [offset, setOffset] = useState(0);
  /** As news call it: `pods`. */
  const kind = route.slice(route.lastIndexOf('/') + 1);
  const given: GivenParams = {
    ...{ sort, offset, limit: LIMIT },
    ...(name === '' ? {} : { name }),
    ...(namespace === '' ? {} : { namespace }),
  };
  // All lists take these; which fields they are sorted by is in the columns.
  const isNews: IsNews = ({ event, data }) => event === 'rows' && data.kinds.includes(kind);
  const wish = hasNews ? { isNews } : {};
  const { answer, last, error } = useAnswer(route, given as GivenOf<Name>, wish);
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
  const { answer } = useAnswer(
    'GET /api/k8s/namespaces',
    { limit: NAMESPACES_MAX },
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
