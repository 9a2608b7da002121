import type { ComponentChildren, FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { RealtimeEvent } from '../protocol/local-realtime.ts';
import { askErrorOf } from './agent/agent.ts';
import { type Connection, ConnectionContext, useConnection, useLive } from './agent/connection.ts';
import { useAnswer } from './agent/use-answer.ts';
import { whileLookedAt } from './agent/while-looked-at.ts';
import { Copy } from './parts/copy.tsx';
import { Commands } from './views/commands.tsx';
import { Events } from './views/events.tsx';
import { AgentLog } from './views/log.tsx';
import { Overview } from './views/overview.tsx';
import { PolicyView } from './views/policy.tsx';
import { Deployments, Nodes, Pods, Services } from './views/resources.tsx';
import { Routes } from './views/routes.tsx';

/** What the agent says of who is not signed in. */
const UNKNOWN = 401;

interface View {
  readonly title: string;
  readonly view: FunctionComponent;
  /** A worker has no credentials for the Kubernetes API. */
  readonly isOfServer: boolean;
}

const VIEWS: Readonly<Record<string, View>> = {
  deployments: { title: 'Deployments', view: Deployments, isOfServer: true },
  pods: { title: 'Pods', view: Pods, isOfServer: true },
  services: { title: 'Services', view: Services, isOfServer: true },
  nodes: { title: 'Nodes', view: Nodes, isOfServer: true },
  events: { title: 'Events', view: Events, isOfServer: true },
  routes: { title: 'Routes', view: Routes, isOfServer: true },
  commands: { title: 'Commands', view: Commands, isOfServer: true },
  policy: { title: 'Policy', view: PolicyView, isOfServer: true },
  log: { title: 'Log', view: AgentLog, isOfServer: false },
};

export function App({ connection }: { readonly connection: Connection }) {
  return (
    <ConnectionContext.Provider value={connection}>
      <Visit />
    </ConnectionContext.Provider>
  );
}

/** The code stands behind `#`, which browsers send nowhere; it is used up at once. */
function Visit() {
  const { agent } = useConnection();
  const [isKnown, setKnown] = useState(
    () => location.hash.startsWith('#/') || location.hash === '',
  );
  const [refusal, setRefusal] = useState<string>();
  useEffect(() => {
    if (isKnown) {
      return;
    }
    const code = location.hash.slice(1);
    history.replaceState(null, '', './');
    agent.signIn(code).then(
      () => setKnown(true),
      (thrown: unknown) => setRefusal(askErrorOf(thrown).message),
    );
  }, [isKnown, agent]);
  if (refusal !== undefined) {
    return <SignedOut why={refusal} />;
  }
  return isKnown ? <SignedIn /> : null;
}

function SignedOut({ why }: { readonly why: string }) {
  return (
    <main class="signed-out">
      <img src="icon.svg" alt="" width="40" height="40" />
      <h1>{why}</h1>
      <p>
        Make a link on this machine, and open it here: <Copy text="sudo pipeops-agent dashboard" />
      </p>
    </main>
  );
}

function SignedIn() {
  const name = useHash();
  const { agent: link, news } = useConnection();
  useEffect(() => whileLookedAt((signal) => void news.hearUntil(signal)), [news]);
  const detailed = useAnswer('GET /api/health/detailed', {}, { isNews: isOfHealth });
  const agent = detailed.answer?.agent;
  const isServer = agent?.role === 'server';
  const chosen = Object.hasOwn(VIEWS, name) ? VIEWS[name] : undefined;
  useTitle(agent?.cluster_name ?? agent?.id, chosen?.title);
  if (detailed.error?.status === UNKNOWN) {
    return <SignedOut why="You are not signed in" />;
  }
  const leave = () => {
    void link.signOut().then(() => location.reload());
  };
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header>
        <img src="icon.svg" alt="" width="24" height="24" />
        <strong>{agent?.cluster_name ?? agent?.id ?? 'pipeops-agent'}</strong>
        <nav aria-label="Views">
          <Tab to="" current={chosen === undefined}>
            Overview
          </Tab>
          {Object.entries(VIEWS)
            .filter(([, { isOfServer }]) => isServer || !isOfServer)
            .map(([to, { title, view }]) => (
              <Tab key={to} to={to} current={view === chosen?.view}>
                {title}
              </Tab>
            ))}
        </nav>
        <Live />
        <button type="button" class="quiet" onClick={leave}>
          Sign out
        </button>
      </header>
      <main id="main">
        {chosen === undefined ? (
          <Overview detailed={detailed} />
        ) : (
          <>
            <h1>{chosen.title}</h1>
            <chosen.view key={name} />
          </>
        )}
      </main>
    </>
  );
}

function isOfHealth({ event }: RealtimeEvent): boolean {
  return event === 'health' || event === 'session' || event === 'command';
}

/** Whether what happens is shown as it happens. */
function Live() {
  const isLive = useLive();
  return (
    <span class="live" role="status">
      <span class={`dot ${isLive ? 'good' : 'warn'}`} aria-hidden="true" />
      {isLive ? 'Live' : 'Reconnecting'}
    </span>
  );
}

function Tab({
  to,
  current,
  children,
}: {
  readonly to: string;
  readonly current: boolean;
  readonly children: ComponentChildren;
}) {
  return (
    <a href={`#/${to}`} aria-current={current ? 'page' : undefined}>
      {children}
    </a>
  );
}

/** `pods` of `#/pods`. */
function useHash(): string {
  const read = () => location.hash.replace(/^#\//, '');
  const [hash, setHash] = useState(read);
  useEffect(() => {
    const look = () => setHash(read());
    addEventListener('hashchange', look);
    return () => removeEventListener('hashchange', look);
  }, []);
  return hash;
}

function useTitle(name: string | undefined, view: string | undefined): void {
  useEffect(() => {
    document.title = [view, name, 'pipeops-agent'].filter((each) => each !== undefined).join(' · ');
  }, [name, view]);
}
