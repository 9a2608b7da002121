import { expect, test } from 'bun:test';
import { firstAnswer } from '../../src/core/first-answer.ts';
import { KUBELET_HEALTH_URLS } from '../../src/core/k3s-ports.ts';

/** Answers at these addresses, and refuses at others. */
const asking = (answering: readonly string[], asked: string[]) => async (url: string) => {
  asked.push(url);
  if (!answering.includes(url)) {
    throw new Error(`${url} refuses`);
  }
  return `answer of ${url}`;
};

test('the first address that answers is enough', async () => {
  const asked: string[] = [];
  expect(await firstAnswer(['a', 'b'], asking(['a', 'b'], asked))).toBe('answer of a');
  expect(asked).toEqual(['a']);
});

test('a part of k3s that listens on the loopback of IPv6 alone is found there', async () => {
  const [, ofIpv6] = KUBELET_HEALTH_URLS;
  expect(ofIpv6).toBe('http://[::1]:10248/healthz');
  expect(await firstAnswer(KUBELET_HEALTH_URLS, asking([ofIpv6], []))).toBe(`answer of ${ofIpv6}`);
});

test('where none answers, the trouble of the first is told', async () => {
  const asked: string[] = [];
  await expect(firstAnswer(['a', 'b'], asking([], asked))).rejects.toThrow('a refuses');
  expect(asked).toEqual(['a', 'b']);
});
