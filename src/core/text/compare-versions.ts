/**
 * Compares two versions by Semantic Versioning 2.0.0 section 11: `1.2.0-rc.1` comes before `1.2.0`. What
 * follows no scheme (`nightly-10`) is compared piece by piece as well; build metadata does not count.
 * @returns below 0 where `a` is the older one
 */
export function compareVersions(a: string, b: string): number {
  const [ofA, ofB] = [partsOf(a), partsOf(b)];
  const byNumbers = compareLists(ofA.numbers, ofB.numbers);
  if (byNumbers !== 0 || (ofA.pre.length === 0 && ofB.pre.length === 0)) {
    return byNumbers;
  }
  if (ofA.pre.length === 0 || ofB.pre.length === 0) {
    return ofA.pre.length === 0 ? 1 : -1;
  }
  return compareLists(ofA.pre, ofB.pre);
}

function partsOf(version: string) {
  const [text = ''] = version.replace(/^v/, '').split('+');
  const dash = text.indexOf('-');
  const split = (part: string) => (part === '' ? [] : part.split('.'));
  return dash < 0
    ? { numbers: split(text), pre: [] }
    : { numbers: split(text.slice(0, dash)), pre: split(text.slice(dash + 1)) };
}

function compareLists(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const [left, right] = [a[index], b[index]];
    if (left === undefined || right === undefined) {
      return left === undefined ? -1 : 1;
    }
    const order = comparePieces(left, right);
    if (order !== 0) {
      return order;
    }
  }
  return 0;
}

/** Numbers come before words, and are compared as numbers, however long. */
function comparePieces(a: string, b: string): number {
  const [isNumberA, isNumberB] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumberA !== isNumberB) {
    return isNumberA ? -1 : 1;
  }
  if (isNumberA) {
    const [left, right] = [BigInt(a), BigInt(b)];
    return left === right ? 0 : left < right ? -1 : 1;
  }
  return a === b ? 0 : a < b ? -1 : 1;
}
