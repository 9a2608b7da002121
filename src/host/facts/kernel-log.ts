import type { Fact } from './fact.ts';

/** Whether the messages of the kernel can be read: the kubelet does not start without. */
export const hasKernelLog: Fact<boolean> = {
  id: 'kernel-log',
  read: async ({ files }) => (await files.stat('/dev/kmsg')) !== undefined,
};
