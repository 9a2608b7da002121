/**
 * The page, on loopback: its files, signing in, and the API for those who are signed in. Only what is below
 * /dashboard is theirs: what applications answer through /proxy is of the same origin for a browser, and must
 * never come to the cookie.
 */
import type { HeaderList } from '../../http1/head.ts';
import { singleHeader } from '../../http1/head.ts';
import { type AnswerRequest, type ApiReply, type ApiRequest, reply } from '../api/answers.ts';
import { PROBLEM_TYPE, problemBody, type Refused } from '../api/problem.ts';
import type { RequestIds } from '../api/request-id.ts';
import type { SignIn, Visit } from './sign-in.ts';

export const DASHBOARD_PREFIX = '/dashboard';
const COOKIE = 'pipeops-agent-visit';
/** Headers of the page's own requests. */
const CODE_HEADER = 'x-dashboard-code';
const KEY_HEADER = 'x-dashboard-key';

const HTML_TYPE = 'text/html;charset=utf-8';
const TYPES: Readonly<Record<string, string>> = {
  'index.html': HTML_TYPE,
  'page.js': 'text/javascript;charset=utf-8',
  'page.css': 'text/css;charset=utf-8',
  'icon.svg': 'image/svg+xml',
};

/** Nothing from anywhere else, nothing inline, in no frame. */
const FILE_HEADERS: HeaderList = [
  [
    'Content-Security-Policy',
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ],
  ['X-Content-Type-Options', 'nosniff'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
];

/** Gives a file of the page by its name. Undefined in a program that was built without the page. */
export type ReadPageFile = (name: string) => Promise<string | undefined>;

export interface DashboardDeps {
  readonly signIn: SignIn;
  readonly readPageFile: ReadPageFile;
}

/** Answers what is below /dashboard, and lets `answer` have everything else. */
export function dashboardAnswers(
  deps: DashboardDeps & { readonly requestId: RequestIds },
  answer: AnswerRequest,
): AnswerRequest {
  return async (request, signal) => {
    const path = pathOf(request.target);
    if (path !== DASHBOARD_PREFIX && !path.startsWith(`${DASHBOARD_PREFIX}/`)) {
      return answer(request, signal);
    }
    const below = path.slice(DASHBOARD_PREFIX.length);
    if (below.startsWith('/api/')) {
      const target = request.target.slice(DASHBOARD_PREFIX.length);
      const isTrusted = deps.signIn.accepts(visitOf(request.headers));
      return answer({ ...request, target, isTrusted }, signal);
    }
    return await answerHere(deps, request, below);
  };
}

async function answerHere(
  deps: DashboardDeps & { readonly requestId: RequestIds },
  { method, headers }: ApiRequest,
  below: string,
): Promise<ApiReply> {
  const id = deps.requestId(headers);
  const refuse = (refused: Refused, more: HeaderList = []) =>
    reply(
      { status: refused.status, body: problemBody(refused, id), type: PROBLEM_TYPE, headers: more },
      headers,
      id,
    );
  if (below === '/sign-in' || below === '/sign-out') {
    if (method !== 'POST') {
      return refuse(otherMethod('POST'), [['Allow', 'POST']]);
    }
    if (below === '/sign-out') {
      deps.signIn.leave(visitOf(headers));
      return reply({ status: 200, body: {}, headers: [cookie('', 0)] }, headers, id);
    }
    const visit = deps.signIn.open(singleHeader(headers, CODE_HEADER) ?? '');
    return visit === undefined
      ? refuse(LINK_USED)
      : reply(
          { status: 200, body: { key: visit.key }, headers: [cookie(visit.cookie)] },
          headers,
          id,
        );
  }
  if (method !== 'GET' && method !== 'HEAD') {
    return refuse(otherMethod('GET, HEAD'), [['Allow', 'GET, HEAD']]);
  }
  if (below === '') {
    // Else the page's relative addresses would lead out of its folder.
    return reply(
      { status: 308, body: '', type: HTML_TYPE, headers: [['Location', `${DASHBOARD_PREFIX}/`]] },
      headers,
      id,
    );
  }
  const name = below === '/' ? 'index.html' : below.slice(1);
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  const body = type === undefined ? undefined : await deps.readPageFile(name);
  return type === undefined || body === undefined
    ? refuse(type === undefined ? nothingAt(below) : NOT_BUILT)
    : reply({ status: 200, body, type, headers: FILE_HEADERS, hasTag: true }, headers, id);
}

const LINK_USED: Refused = {
  status: 401,
  code: 'LOCAL_TOKEN_REJECTED',
  message: 'This link was opened before, or is older than 5 minutes',
  hint: 'Make a new one: sudo pipeops-agent dashboard',
};

const NOT_BUILT: Refused = {
  status: 404,
  code: 'NOT_FOUND',
  message: 'This program was started from its sources and has no page',
  hint: 'Build it: bun run build',
};

function nothingAt(below: string): Refused {
  return {
    status: 404,
    code: 'NOT_FOUND',
    message: `There is nothing at ${DASHBOARD_PREFIX}${below}`,
  };
}

function otherMethod(allowed: string): Refused {
  return { status: 405, code: 'USAGE', message: `Only ${allowed} can be asked there` };
}

/** Session cookies end with the browser; the agent ends a visit that is idle. */
function cookie(value: string, maxAgeSeconds?: number): readonly [string, string] {
  const age = maxAgeSeconds === undefined ? '' : `; Max-Age=${maxAgeSeconds}`;
  return [
    'Set-Cookie',
    `${COOKIE}=${value}; Path=${DASHBOARD_PREFIX}; HttpOnly; SameSite=Strict${age}`,
  ];
}

function visitOf(headers: HeaderList): Partial<Visit> {
  const key = singleHeader(headers, KEY_HEADER);
  const cookies = (singleHeader(headers, 'cookie') ?? '').split(';').map((each) => each.trim());
  const found = cookies.find((each) => each.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
  return {
    ...(found === undefined ? {} : { cookie: found }),
    ...(key === undefined ? {} : { key }),
  };
}

function pathOf(target: string): string {
  return target.split('?', 1)[0] ?? '';
}
