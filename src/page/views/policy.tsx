import type { RefusalRow } from '../../protocol/local-policy.ts';
import { useAnswer } from '../agent/use-answer.ts';
import { Age } from '../parts/age.tsx';
import type { Column } from '../parts/table.tsx';
import { Trouble } from '../parts/trouble.tsx';
import { RowList } from './row-list.tsx';

/** A file that root changes is in force within 2 s. */
const EVERY_MS = 5_000;

const COLUMNS: readonly Column<RefusalRow>[] = [
  { title: 'What', cell: ({ about }) => about },
  { title: 'Rule', sort: 'rule', cell: ({ rule }) => <code>{rule}</code> },
  { title: 'Why', cell: ({ reason }) => <span class="wrap">{reason}</span> },
  { title: 'Times', sort: 'times', isNumber: true, cell: ({ times }) => times },
  { title: 'Last', sort: 'last_at', cell: ({ last_at }) => <Age of={last_at} isMoment /> },
];

/** What the policy refused, and by which rules. */
export function PolicyView() {
  const { answer, error } = useAnswer('GET /api/policy/rules', {}, { everyMs: EVERY_MS });
  return (
    <>
      <RowList
        name="GET /api/policy/refusals"
        noun="refusals"
        columns={COLUMNS}
        keyOf={({ kind, about, rule }) => `${kind} ${rule} ${about}`}
        hasNamespace={false}
        firstSort="-last_at"
        findBy="request"
      />
      <Trouble error={error} />
      {answer !== undefined && (
        <section class="card next" aria-label="Rules">
          <h2>
            Rules in force{' '}
            <span class="muted">
              {answer.preset === null ? 'the file cannot be used' : `preset ${answer.preset}`}
            </span>
          </h2>
          <dl class="wide">
            {answer.rules.map(({ rule, meaning }) => (
              <div key={rule}>
                <dt>{rule}</dt>
                <dd>{meaning}</dd>
              </div>
            ))}
          </dl>
        </section>
      )}
    </>
  );
}
