/** A registered agent's connection, controller or gateway: its messages and what it is sent. */
import { z } from 'zod';
import {
  CLOSE_CODES,
  CommandAckPayload,
  CommandProgressPayload,
  CommandResultPayload,
  type HeartbeatPayload,
  ProtocolFallbackPayload,
  StatusReportPayload,
} from '../../../src/protocol/session/messages.ts';
import type { AgentLink } from './agent-link.ts';
import { AnyHeartbeat } from './agent-wire.ts';
import { type CommandChannel, commandChannel } from './command-channel.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import { type AgentEnvelope, describe } from './envelope.ts';
import { StatusReplica } from './status-replica.ts';

/** Answer to `ping`, with its request_id. */
const PongPayload = z.strictObject({ timestamp: z.iso.datetime({ offset: true }) });

export interface LiveSession {
  message(envelope: AgentEnvelope): void;
  binary(data: Uint8Array): void;
  /** @param gently the agent said goodbye */
  close(gently: boolean): void;
}

interface Session {
  readonly deps: ConversationDeps;
  readonly link: AgentLink;
  readonly commands: CommandChannel | undefined;
  readonly replica: StatusReplica;
  readonly problem: (text: string) => void;
}

export function liveSession(
  deps: ConversationDeps,
  link: AgentLink,
  problem: (text: string) => void,
): LiveSession {
  const commands = deps.dialect.extension ? commandChannel(deps, link) : undefined;
  const session: Session = { deps, link, commands, replica: new StatusReplica(), problem };
  const registered = { ...link, pump: () => commands?.pump() };
  deps.links.add(registered)?.close(CLOSE_CODES.replaced, 'a newer connection is here');
  const dataPlane = deps.dataPlane?.attach(link);
  commands?.pump();
  return {
    message: (envelope) => {
      if (deps.dataPlane?.types.includes(envelope.type)) {
        dataPlane?.message(envelope);
      } else {
        take(session, envelope);
      }
    },
    binary: (data) => {
      if (dataPlane === undefined) {
        problem('a binary message, and nothing here takes one');
      } else {
        dataPlane.binary(data);
      }
    },
    close: (gently) => {
      commands?.close();
      dataPlane?.close();
      deps.links.remove(registered, gently);
      deps.store.saw(link.agentId);
    },
  };
}

type Take = (session: Session, envelope: AgentEnvelope) => void;

const MESSAGES: Readonly<Record<string, Take>> = {
  heartbeat: taking(AnyHeartbeat, takeHeartbeat),
  ping: ({ link }, envelope) => {
    link.send('pong', { timestamp: new Date().toISOString() }, envelope.request_id);
  },
  pong: taking(PongPayload, () => undefined),
  protocol_fallback: taking(ProtocolFallbackPayload, ({ deps, link }, payload) =>
    deps.store.fallback(link.agentId, payload.unknown_type),
  ),
};

/** The extension's: never sent to a peer that did not announce it. */
const EXTENSION_MESSAGES: Readonly<Record<string, Take>> = {
  command_ack: taking(CommandAckPayload, takeAck),
  command_progress: taking(CommandProgressPayload, takeProgress),
  command_result: taking(CommandResultPayload, takeResult),
  status_report: taking(StatusReportPayload, takeReport),
};

function take(session: Session, envelope: AgentEnvelope): void {
  const { type } = envelope;
  if (Object.hasOwn(EXTENSION_MESSAGES, type) && !session.deps.dialect.extension) {
    session.problem(`${type}, which was not announced here`);
    return;
  }
  const known = { ...MESSAGES, ...EXTENSION_MESSAGES };
  if (Object.hasOwn(known, type)) {
    known[type]?.(session, envelope);
  } else {
    session.problem(`${type}: no such message`);
  }
}

function taking<T>(schema: z.ZodType<T>, then: (session: Session, payload: T) => void): Take {
  return (session, envelope) => {
    const payload = schema.safeParse(envelope.payload);
    if (payload.success) {
      then(session, payload.data);
    } else {
      session.problem(`${envelope.type}: ${describe(payload.error)}`);
    }
  };
}

function takeProgress({ deps, link, problem }: Session, news: CommandProgressPayload): void {
  if (deps.store.command(link.agentId, news.id) === undefined) {
    problem(`command_progress: ${news.id} is no command of this agent`);
  } else {
    deps.store.addProgress(news);
  }
}

function takeHeartbeat({ deps, link, problem }: Session, heartbeat: HeartbeatPayload): void {
  const agent = deps.store.agent(link.agentId);
  if (agent === undefined) {
    link.send('error', { error: 'cluster not found' });
    return;
  }
  if (heartbeat.agent_id !== agent.id || heartbeat.cluster_id !== agent.cluster_id) {
    problem(`heartbeat: it is of ${heartbeat.agent_id} in ${heartbeat.cluster_id}`);
  }
  deps.store.heartbeat(agent.id, heartbeat, link.kind === 'gateway' ? 'gateway' : 'websocket');
  link.send('heartbeat_ack', deps.dialect.pace === undefined ? {} : { pace: deps.dialect.pace });
}

function takeAck({ deps, link, commands, problem }: Session, ack: CommandAckPayload): void {
  if (deps.store.command(link.agentId, ack.id) === undefined) {
    problem(`command_ack: ${ack.id} is no command of this agent`);
    return;
  }
  switch (ack.of) {
    case 'command':
      commands?.acknowledged('command', ack.id, ack.outcome !== 'full');
      deps.store.acknowledged(ack.id, ack.outcome);
      break;
    case 'cancel':
      commands?.acknowledged('cancel', ack.id, true);
      deps.store.note(ack.id, {
        kind: 'cancel_acknowledged',
        transport: 'websocket',
        outcome: ack.outcome,
      });
      break;
    case 'result':
      problem('command_ack: results are acknowledged to the agent, not by it');
  }
}

/** The acknowledgement comes after the commit; a result of something else is kept by nobody. */
function takeResult({ deps, link, commands, problem }: Session, payload: CommandResultPayload) {
  const { id, result } = payload;
  if (deps.store.command(link.agentId, id) === undefined) {
    problem(`command_result: ${id} is no command of this agent`);
    link.send('command_ack', { id, of: 'result', outcome: 'unknown' });
    return;
  }
  if (deps.store.finish(link.agentId, id, result, 'websocket') === 'other') {
    problem(`command ${id}: a second, different result`);
  }
  commands?.finished(id);
  link.send('command_ack', { id, of: 'result', outcome: 'kept' });
}

function takeReport({ deps, link, replica, problem }: Session, report: StatusReportPayload): void {
  const outcome = replica.take(report);
  switch (outcome.kind) {
    case 'status':
      deps.store.status(link.agentId, outcome.status);
      break;
    case 'problem':
      problem(`status_report: ${outcome.problem}`);
      link.send('status_request', {});
      break;
    case 'gap':
      deps.store.statusGap(link.agentId);
      link.send('status_request', {});
      break;
    case 'waiting':
      break;
  }
}
