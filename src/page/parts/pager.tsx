interface PagerProps {
  readonly total: number;
  readonly offset: number;
  readonly limit: number;
  readonly noun: string;
  readonly onOffset: (offset: number) => void;
}

export function Pager({ total, offset, limit, noun, onOffset }: PagerProps) {
  const last = Math.min(offset + limit, total);
  return (
    <nav class="pager" aria-label={`Pages of ${noun}`}>
      <span>
        {total === 0
          ? `No ${noun}`
          : `${(offset + 1).toLocaleString('en')}–${last.toLocaleString('en')} of ${total.toLocaleString('en')} ${noun}`}
      </span>
      <button
        type="button"
        disabled={offset === 0}
        onClick={() => onOffset(Math.max(0, offset - limit))}
      >
        Back
      </button>
      <button type="button" disabled={last >= total} onClick={() => onOffset(offset + limit)}>
        Next
      </button>
    </nav>
  );
}
