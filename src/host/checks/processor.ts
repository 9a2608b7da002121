import { processor } from '../facts/processor.ts';
import { type Check, EVERYWHERE } from './check.ts';

export const processorKnown: Check = {
  id: 'processor',
  title: 'Processor',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'There are builds for x86-64 with SSE4.2 and for arm64 only; elsewhere the agent or k3s would end with an illegal instruction.',
  remedy: 'In a virtual machine, choose a newer CPU model, for example `host`.',
  needs: [processor],
  run: async (facts) => {
    const { architecture, flags } = await facts(processor);
    if (architecture !== 'x64' && architecture !== 'arm64') {
      return {
        code: 'HOST_UNSUPPORTED',
        message: `There is no build for "${architecture}"`,
        hint: 'Use an x86-64 or arm64 machine',
      };
    }
    return architecture === 'arm64' || flags.has('sse4_2')
      ? undefined
      : {
          code: 'HOST_UNSUPPORTED',
          message: 'The processor lacks SSE4.2',
          hint: 'Give the virtual machine a newer CPU model, for example "host"',
        };
  },
};
