/** Works while somebody looks at the page: until it is hidden, and again when it is not any more. */
export function whileLookedAt(work: (signal: AbortSignal) => void): () => void {
  let looking: AbortController | undefined;
  const look = () => {
    if (document.hidden) {
      looking?.abort();
      looking = undefined;
    } else if (looking === undefined) {
      looking = new AbortController();
      work(looking.signal);
    }
  };
  look();
  document.addEventListener('visibilitychange', look);
  return () => {
    document.removeEventListener('visibilitychange', look);
    looking?.abort();
  };
}
