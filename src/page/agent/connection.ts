/** What all of the page shares: the agent, what happens there, and the seconds that pass. */
import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import { type Agent, agentOf } from './agent.ts';
import { machineClock } from './machine-clock.ts';
import { agentNews, type News } from './news.ts';
import { passingSeconds, type Seconds } from './passing-seconds.ts';

export interface Connection {
  readonly agent: Agent;
  readonly news: News;
  readonly seconds: Seconds;
}

export function connect(): Connection {
  const monotonic = () => performance.now();
  const clock = machineClock({ monotonic, browserNow: Date.now });
  const agent = agentOf({
    clock,
    monotonic,
    fetch: (path, init) => fetch(path, init),
    storage: sessionStorage,
  });
  return { agent, news: agentNews(agent), seconds: passingSeconds() };
}

export const ConnectionContext = createContext<Connection | undefined>(undefined);

export function useConnection(): Connection {
  const connection = useContext(ConnectionContext);
  if (connection === undefined) {
    throw new Error('There is no connection around this part of the page');
  }
  return connection;
}

/** Unix ms by the clock of the machine, each second anew. */
export function useNow(): number {
  const { agent, seconds } = useConnection();
  const [now, setNow] = useState(agent.clock.now);
  useEffect(() => seconds.onPass(() => setNow(agent.clock.now())), [agent, seconds]);
  return now;
}

/** Whether what happens is heard just now. */
export function useLive(): boolean {
  const { news } = useConnection();
  const [isLive, setLive] = useState(news.isLive);
  useEffect(() => news.onLive(() => setLive(news.isLive())), [news]);
  return isLive;
}
