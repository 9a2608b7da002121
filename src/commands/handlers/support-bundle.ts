import { SupportBundlePayload } from '../../protocol/commands/machine.ts';
import { MadeSupportBundle } from '../../protocol/helper.ts';
import { commandHandler } from '../engine/handler.ts';
import { askHelperAndPerson } from '../engine/helper.ts';

/** A person may be asked. */
const TIMEOUT_MS = 3_600_000;

/**
 * support_bundle: root's helper collects what somebody needs to help, without secrets, in a file that stays on this
 * machine. Its name comes from the id of the command, so a rerun after a crash is answered with what is there.
 */
export const supportBundleCommand = commandHandler({
  type: 'support_bundle',
  payload: SupportBundlePayload,
  data: MadeSupportBundle,
  priority: 'normal',
  lane: () => 'support-bundle',
  timeoutMs: () => TIMEOUT_MS,
  afterRestart: 'rerun',
  run: async (_payload, context) => {
    const request = { verb: 'support_bundle' as const, command_id: context.commandId };
    const use = { type: 'support_bundle', hostVerb: 'support_bundle' } as const;
    const data = MadeSupportBundle.parse(await askHelperAndPerson(context, use, request));
    return {
      output: `The support bundle is on ${data.node}: ${data.path} (${data.bytes} bytes)`,
      data,
    };
  },
});
