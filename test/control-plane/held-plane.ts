import type { DataPlane, SessionLink } from '../../src/control-plane/session/ports.ts';

/** A data plane whose requests last until the test ends them. */
export function heldPlane() {
  const events: string[] = [];
  const links: SessionLink[] = [];
  const underWay = new Map<SessionLink, number>();
  const dataPlane: DataPlane = {
    types: ['proxy_request'],
    attach: (link) => {
      links.push(link);
      events.push(`${link.kind} attached`);
      return {
        message: () => void underWay.set(link, (underWay.get(link) ?? 0) + 1),
        binary: () => undefined,
        goAway: () => void events.push(`${link.kind} goes away`),
        underWay: () => underWay.get(link) ?? 0,
        close: () => void events.push(`${link.kind} closed`),
      };
    },
  };
  return {
    dataPlane,
    events,
    links,
    count: () => [...underWay.values()].reduce((sum, each) => sum + each, 0),
    answer: (link: SessionLink | undefined) => {
      if (link !== undefined) {
        underWay.set(link, 0);
        link.send('proxy_response', { status: 200, headers: null }, 'r-1');
      }
    },
  };
}
