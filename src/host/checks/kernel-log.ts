import { container } from '../facts/container.ts';
import { hasKernelLog } from '../facts/kernel-log.ts';
import { type Check, EVERYWHERE } from './check.ts';

export const kernelLogThere: Check = {
  id: 'kernel-log',
  title: 'Messages of the kernel',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'The kubelet reads /dev/kmsg, to see what was killed for lack of memory, and does not start without it.',
  remedy: `Containers (LXC, Proxmox) often have none. Either give it on the host, or put
\`L /dev/kmsg - - - - /dev/console\` into \`/etc/tmpfiles.d/kmsg.conf\` and restart. The container also needs
\`lxc.apparmor.profile: unconfined\`, \`lxc.cap.drop:\` (empty) and \`lxc.mount.auto: proc:rw sys:rw\`.`,
  needs: [hasKernelLog, container],
  run: async (facts) => {
    if (await facts(hasKernelLog)) {
      return undefined;
    }
    const inside = await facts(container);
    return {
      code: 'HOST_UNSUPPORTED',
      message: 'There is no /dev/kmsg',
      hint:
        inside === undefined
          ? 'Use a kernel with CONFIG_PRINTK: that of the distribution has it'
          : `Give it to this container (${inside}) on its host, or make it a link at each start`,
      ...(inside === undefined
        ? {}
        : {
            fix:
              "echo 'L /dev/kmsg - - - - /dev/console' | sudo tee /etc/tmpfiles.d/kmsg.conf\n" +
              'sudo systemd-tmpfiles --create /etc/tmpfiles.d/kmsg.conf',
          }),
    };
  },
};
