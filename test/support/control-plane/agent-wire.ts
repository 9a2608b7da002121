/** What agents send that exist already, beside ours: fields that ours never has, and fewer features. */
import * as z from 'zod';
import {
  AgentFeatures,
  HeartbeatPayload,
  RegisterPayload,
} from '../../../src/protocol/session/messages.ts';

const text = z.string().optional();

/** Of one monitoring service; only where the agent knows its address. */
function service(name: string) {
  return {
    ...{ [`${name}_url`]: text, [`${name}_username`]: text, [`${name}_password`]: text },
    [`${name}_ssl`]: z.boolean().optional(),
  };
}

export const AnyHeartbeat = HeartbeatPayload.extend({
  ...service('prometheus'),
  ...service('loki'),
  ...service('grafana'),
  opencost_base_url: text,
  opencost_username: text,
  opencost_password: text,
  worker_join: z.record(z.string(), z.unknown()).optional(),
});

/** Our three features count as absent where an agent says nothing of them. */
export const AnyRegistration = RegisterPayload.extend({
  features: AgentFeatures.extend({
    supports_commands: z.boolean().default(false),
    supports_status_reports: z.boolean().default(false),
    supports_flow_control: z.boolean().default(false),
  }),
});
