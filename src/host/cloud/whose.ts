import type { Fact } from '../facts/fact.ts';
import { type CloudName, cloudByFirmware } from './dmi.ts';

/** Whose machine this is, as its firmware says; undefined where it does not. */
export const cloud: Fact<CloudName | undefined> = {
  id: 'cloud',
  read: ({ files }) => cloudByFirmware(files),
};
