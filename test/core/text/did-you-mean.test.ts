import { describe, expect, test } from 'bun:test';
import { didYouMean } from '../../../src/core/text/did-you-mean.ts';

const COMMANDS = ['install', 'join', 'leave', 'status', 'token', 'uninstall', 'version'];

describe('didYouMean()', () => {
  test.each([
    ['instal', 'install'],
    ['isntall', 'install'],
    ['statsu', 'status'],
    ['verison', 'version'],
    ['uninstal', 'uninstall'],
    ['jion', 'join'],
    ['tokens', 'token'],
    ['Status', 'status'],
    ['stat', 'status'],
    ['uninst', 'uninstall'],
  ])('finds what "%s" meant', (typo, meant) => {
    expect(didYouMean(typo, COMMANDS)).toBe(meant);
  });

  test.each([
    ...['kubernetes', 'x', '', 'abcdefghijkl'],
    ...[
      'down',
      'up',
      'logs',
      'stop',
      'start',
      'list',
      'show',
      'get',
      'remove',
      'create',
      'i',
      'un',
    ],
  ])('suggests nothing for "%s"', (word) => {
    expect(didYouMean(word, COMMANDS)).toBeUndefined();
  });

  test('chooses the nearest of several near words, wherever it stands', () => {
    expect(didYouMean('--log-levl', ['--log-format', '--log-leveled', '--log-level'])).toBe(
      '--log-level',
    );
  });

  test('chooses the first of equally near words', () => {
    expect(didYouMean('bat', ['cat', 'rat'])).toBe('cat');
  });

  test('suggests nothing for a short word of which half is wrong', () => {
    expect(didYouMean('xyn', ['join'])).toBeUndefined();
  });

  test('suggests nothing when nothing is known', () => {
    expect(didYouMean('install', [])).toBeUndefined();
  });
});
