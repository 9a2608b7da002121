import { describe, expect, test } from 'bun:test';
import { isIP } from 'node:net';
import { ipVersion } from '../../../src/core/text/ip-version.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const WORDS = [
  '0',
  '1',
  '9',
  '10',
  '099',
  '127',
  '255',
  '256',
  'a',
  'fe80',
  'FFFF',
  '12345',
  'g',
  '',
];
const JOINTS = ['.', '.', '.', ':', ':', ':', '::', '%', ' '];
const CASES = 20_000;

const KNOWN = [
  ...['1.2.3.4', '255.255.255.255', '01.2.3.4', '1.2.3', '1.2.3.4.', '1.2.3.4.5', '', '.', ':'],
  ...['::', '::1', '1::', '1::2::3', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7::'],
  ...['::1:2:3:4:5:6:7', '::1:2:3:4:5:6:7:8', '1::3:4:5:6:7:8', '1:2::3:4:5:6:7:8', ':1:2', '1:2:'],
  ...[
    '::ffff:1.2.3.4',
    '1.2.3.4::',
    '::1.2.3.4:1',
    '1:2:3:4:5:6:1.2.3.4',
    '::1.2.3',
    ':::',
    '1:::2',
  ],
  ...['fe80::1%eth0', 'fe80::1%', '%eth0', 'fe80::1%a b', '1.2.3.4%eth0', '::1\n', '1.2.3.4\n'],
];

describe('ipVersion()', () => {
  test('says what node:net says of addresses and of what looks like some', () => {
    expect(KNOWN.map((text) => [text, ipVersion(text)])).toEqual(
      KNOWN.map((text) => [text, isIP(text) as 0 | 4 | 6]),
    );
  });

  test('says what node:net says of any text made of their parts', () => {
    const random = seededRandom(7);
    const pick = (from: readonly string[]) =>
      from[Math.floor(random.fraction() * from.length)] ?? '';
    const wrong: string[] = [];
    for (let round = 0; round < CASES; round += 1) {
      let text = pick(WORDS);
      for (let left = Math.floor(random.fraction() * 9); left > 0; left -= 1) {
        text += pick(JOINTS.slice(0, round % 2 === 0 ? 3 : JOINTS.length)) + pick(WORDS);
      }
      if (ipVersion(text) !== isIP(text)) {
        wrong.push(text);
      }
    }
    expect(wrong).toEqual([]);
  });
});
