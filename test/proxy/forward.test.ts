import { expect, test } from 'bun:test';
import type { UpstreamAddress } from '../../src/http1/client/address.ts';
import type { HeaderList } from '../../src/http1/head.ts';
import type { ProxyRequest } from '../../src/http1/server/call.ts';
import type { Destination } from '../../src/proxy/destination.ts';
import { forward } from '../../src/proxy/forward.ts';
import { serviceApplications } from '../../src/tunnel/service-targets.ts';
import { testProxy } from '../support/proxy-deps.ts';
import { okAnswer, rawUpstream } from '../support/raw-upstream.ts';
import { atRest, until } from '../support/until.ts';
import { recordedAnswer } from './recorded-answer.ts';

function proxyTo(address: UpstreamAddress, changes: Partial<Destination> = {}) {
  const proxy = testProxy(address, changes);
  const send = (request: Partial<ProxyRequest>, body: readonly string[] = []) => {
    const answer = recordedAnswer();
    const whole = { method: 'GET', target: '/api', headers: [], client: 'test', ...request };
    const call = forward(proxy.deps, whole, answer);
    for (const chunk of body) {
      call.write(Buffer.from(chunk));
    }
    call.endRequest();
    return answer;
  };
  return { ...proxy, send };
}

/** Answers each whole request head with the same text. */
const answering = (text: string) => (connection: { socket: { write(text: string): void } }) => {
  connection.socket.write(text);
};

test('a request goes out byte-exact but for who the caller is', async () => {
  await using upstream = await rawUpstream(answering(okAnswer('hello', ['X-Two: 1', 'X-Two: 2'])));
  using proxy = proxyTo(upstream.address);
  const answer = await proxy.send({
    method: 'GET',
    target: '/api/v1/namespaces/a/services/b/proxy/x%2Fy/../z?q=%20&q=+',
    headers: [
      ['Host', '127.0.0.1:8443'],
      ['X-CaSe', 'kept'],
      ['x-case', 'twice'],
      ['Authorization', 'Bearer local'],
      ['X-Remote-Group', 'system:masters'],
      ['Cookie', 'a=b'],
      ['Connection', 'keep-alive, X-Hop'],
      ['X-Hop', 'gone'],
      ['Keep-Alive', '5'],
      ['Sec-WebSocket-Protocol', 'v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.eHg'],
    ],
  }).done;
  expect(upstream.received).toEqual([
    [
      'GET /api/v1/namespaces/a/services/b/proxy/x%2Fy/../z?q=%20&q=+ HTTP/1.1',
      'Host: kubernetes.test',
      'Authorization: Bearer agents-token',
      'X-CaSe: kept',
      'x-case: twice',
      'Sec-WebSocket-Protocol: v5.channel.k8s.io',
      '',
      '',
    ].join('\r\n'),
  ]);
  expect(answer).toEqual({
    status: 200,
    headers: [
      ['Content-Length', '5'],
      ['X-Two', '1'],
      ['X-Two', '2'],
    ],
    body: 'hello',
    trailers: [],
  });
});

test.each(['Impersonate-User', 'impersonate-group', 'IMPERSONATE-UID', 'Impersonate-Extra-scopes'])(
  '%s is refused, never left out: the request would be done with more rights than asked for',
  async (name) => {
    await using upstream = await rawUpstream(answering(okAnswer('done')));
    using proxy = proxyTo(upstream.address);
    for (const hidden of [[], [['Connection', name]]] as const) {
      const headers: HeaderList = [[name, 'nobody'], ...hidden];
      const { status, body } = await proxy.send({ method: 'POST', headers }).done;
      expect([status, JSON.parse(body)]).toEqual([
        403,
        {
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Failure',
          code: 403,
          reason: 'Forbidden',
          message: `pipeops-agent: Requests go to Kubernetes as the agent, never as somebody else: ${name} is refused (proxy/impersonation)`,
          details: {
            causes: [
              { reason: 'POLICY_DENIED', message: expect.stringContaining('--as') },
              { reason: 'PolicyRule', message: 'proxy/impersonation' },
            ],
          },
        },
      ]);
    }
    expect(upstream.received).toEqual([]);
  },
);

test('an application has users of its own, and hears whom a caller wants to be', async () => {
  await using upstream = await rawUpstream(answering(okAnswer('done')));
  const locate = async () => ({ address: upstream.address, host: 'app', token: undefined });
  using proxy = proxyTo(upstream.address, { locate });
  expect((await proxy.send({ headers: [['Impersonate-User', 'x']] }).done).status).toBe(200);
  expect(upstream.received.join('')).toContain('\r\nImpersonate-User: x\r\n');
});

test('what comes behind the end of a body is no part of the connection', async () => {
  await using upstream = await rawUpstream(({ socket }, bytes) => {
    if (bytes.includes('GET /next')) {
      socket.write(okAnswer('next'));
    }
  });
  using proxy = proxyTo(upstream.address);
  const answer = recordedAnswer();
  const headers: HeaderList = [['Transfer-Encoding', 'chunked']];
  const request = { method: 'POST', target: '/api/v1/pods', headers, client: 'test' };
  const call = forward(proxy.deps, request, answer);
  call.endRequest();
  await until('the body has ended', () => upstream.received.join('').includes('0\r\n\r\n'));
  call.write(Buffer.from('GET /hidden HTTP/1.1\r\n\r\n'));
  expect((await answer.done).status).toBe(400);
  expect((await proxy.send({ target: '/next' }).done).body).toBe('next');
  expect(upstream.received.join('')).not.toContain('hidden');
});

test('connections are used again, and one that died meanwhile costs nothing', async () => {
  await using upstream = await rawUpstream(({ socket, received }) => {
    socket.write(okAnswer('x'));
    if (received().split('GET').length === 3) {
      socket.destroy(); // after its second request, as an API server that restarts
    }
  });
  using proxy = proxyTo(upstream.address);
  for (let count = 0; count < 3; count += 1) {
    expect((await proxy.send({}).done).body).toBe('x');
  }
  expect(upstream.received.map((text) => text.split('GET').length - 1)).toEqual([2, 1]);
});

test('an upgrade that is lost is not asked twice: what it runs may have run', async () => {
  await using upstream = await rawUpstream(({ socket }, bytes) => {
    if (bytes.includes('Upgrade: websocket')) {
      socket.destroy();
    } else {
      socket.write(okAnswer('kept'));
    }
  });
  using proxy = proxyTo(upstream.address);
  expect((await proxy.send({}).done).body).toBe('kept');
  const answer = recordedAnswer();
  const target = '/api/v1/namespaces/a/pods/b/exec?command=rm';
  const headers: HeaderList = [
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
  ];
  forward(proxy.deps, { method: 'GET', target, headers, client: 'test' }, answer);
  expect((await answer.done).status).toBe(503);
  expect(upstream.received.join('').match(/\/exec/g)).toHaveLength(1);
});

test('a kept connection that ends instead of an answer is replaced, once', async () => {
  let answers = 1;
  await using upstream = await rawUpstream(({ socket }) => {
    answers -= 1;
    if (answers >= 0) {
      socket.write(okAnswer('x'));
    } else {
      socket.destroy();
    }
  });
  using proxy = proxyTo(upstream.address);
  expect((await proxy.send({}).done).body).toBe('x');
  // The kept one and a fresh one end without an answer: that is not the age of a connection.
  expect((await proxy.send({}).done).status).toBe(503);
  expect(upstream.received).toHaveLength(2);
  answers = 1;
  expect((await proxy.send({}).done).body).toBe('x');
  answers = 0;
  // It may have been done: an exec, a restart.
  expect((await proxy.send({ method: 'POST' }).done).status).toBe(503);
  expect(upstream.received).toHaveLength(3);
  answers = 1;
  expect((await proxy.send({}).done).body).toBe('x');
  answers = 0;
  // A body has gone out with the request: nobody knows what became of it.
  const post = { method: 'POST', headers: [['Content-Length', '1']] } as const;
  expect((await proxy.send(post, ['a']).done).status).toBe(503);
  expect(upstream.received).toHaveLength(4);
});

test('bodies go out as they were framed', async () => {
  await using upstream = await rawUpstream(({ socket, received }) => {
    if (received().endsWith('abcdef') || received().endsWith('0\r\n\r\n')) {
      socket.write(okAnswer(''));
    }
  });
  using proxy = proxyTo(upstream.address);
  await proxy.send({ method: 'POST', headers: [['Content-Length', '6']] }, ['abc', 'def']).done;
  const chunked = { method: 'PUT', headers: [['Transfer-Encoding', 'chunked']] } as const;
  await proxy.send(chunked, ['abc', 'def']).done;
  expect(upstream.received[0]).toContain('Content-Length: 6\r\n\r\nabcdef');
  expect(upstream.received[0]).toEndWith(
    'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n',
  );
});

test.each([
  [
    'a length twice',
    [
      ['Content-Length', '1'],
      ['content-length', '2'],
    ],
    ['a'],
  ],
  [
    'the same length twice',
    [
      ['Content-Length', '1'],
      ['content-length', '1'],
    ],
    ['a'],
  ],
  [
    'a length and chunks',
    [
      ['Content-Length', '1'],
      ['Transfer-Encoding', 'chunked'],
    ],
    ['a'],
  ],
  ['an unknown encoding', [['Transfer-Encoding', 'gzip, chunked']], ['a']],
  ['a length that is no number', [['Content-Length', '+1']], ['a']],
  ['a body longer than announced', [['Content-Length', '1']], ['ab']],
  ['a body shorter than announced', [['Content-Length', '3']], ['ab']],
  ['a line break in a header', [['X', 'a\r\nY: b']], []],
  [
    'a length that is to go no further than here',
    [
      ['Connection', 'X, Content-Length'],
      ['Content-Length', '24'],
    ],
    ['GET / HTTP/1.1\r\nY: b\r\n\r\n'],
  ],
] as [string, [string, string][], string[]][])(
  '%s is refused, not passed on',
  async (_, headers, body) => {
    await using upstream = await rawUpstream(answering(okAnswer('')));
    using proxy = proxyTo(upstream.address);
    const answer = await proxy.send({ method: 'POST', headers }, body).done;
    const said = JSON.parse(answer.body) as { code: number; details: { causes: unknown[] } };
    expect([answer.status, said.code]).toEqual([400, 400]);
    expect(said.details.causes).toMatchObject([{ reason: 'PROXY_REQUEST_INVALID' }]);
    expect(upstream.received.join('')).not.toContain('Y: b');
  },
);

test('a path with a space or a control character is refused', async () => {
  await using upstream = await rawUpstream(answering(okAnswer('')));
  using proxy = proxyTo(upstream.address);
  for (const target of ['/api HTTP/1.1\r\nX: y', '/a b', '/a\0']) {
    expect((await proxy.send({ target }).done).status).toBe(400);
  }
  expect(upstream.received).toEqual([]);
});

test('what the policy denies is answered as Kubernetes would, with the rule', async () => {
  await using upstream = await rawUpstream(answering(okAnswer('')));
  using proxy = proxyTo(upstream.address, {
    allow: () => ({ allowed: false, rule: 'standard/exec', reason: 'No exec here' }),
  });
  const answer = await proxy.send({}).done;
  expect(answer.status).toBe(403);
  expect(JSON.parse(answer.body)).toEqual({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'pipeops-agent: No exec here (standard/exec)',
    reason: 'Forbidden',
    details: {
      causes: [
        { reason: 'POLICY_DENIED', message: expect.stringContaining('policy show') },
        { reason: 'PolicyRule', message: 'standard/exec' },
      ],
    },
    code: 403,
  });
  expect(upstream.received).toEqual([]);
});

test('chunks, news before the head, and trailers come back as they were', async () => {
  const text =
    'HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n' +
    'Trailer: X-Sum\r\n\r\n5;note=1\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n';
  const expected = {
    status: 200,
    headers: [['Trailer', 'X-Sum']],
    body: 'hello!',
    trailers: [
      ['X-Sum', '1'],
      ['X-Sum', '2'],
    ],
  };
  // Whole, and in every pair of pieces.
  for (let cut = 0; cut < text.length; cut += 1) {
    await using upstream = await rawUpstream(({ socket }) => {
      socket.write(text.slice(0, cut), () => socket.write(text.slice(cut)));
    });
    using proxy = proxyTo(upstream.address);
    expect(await proxy.send({}).done).toEqual(expected as never);
  }
});

test.each([
  ['no HTTP', 'SSH-2.0-x\r\n\r\n'],
  ['a folded header', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['a bad length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'],
  ['a head without end', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(70_000)}`],
])('an answer with %s is 503, never passed on', async (_, text) => {
  await using upstream = await rawUpstream(answering(text));
  using proxy = proxyTo(upstream.address);
  expect((await proxy.send({}).done).status).toBe(503);
});

test('an answer that breaks in the middle fails, and does not look whole', async () => {
  await using upstream = await rawUpstream(({ socket }) => {
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
  });
  using proxy = proxyTo(upstream.address);
  await expect(proxy.send({}).done).rejects.toThrow('closed the connection too early');
});

test('what comes behind an answer is never read as the answer to another request', async () => {
  await using upstream = await rawUpstream(answering(`${okAnswer('a')}${okAnswer('smuggled')}`));
  using proxy = proxyTo(upstream.address);
  expect((await proxy.send({}).done).body).toBe('a');
  expect((await proxy.send({}).done).body).toBe('a');
  expect(upstream.received).toHaveLength(2);
});

test('an early answer to an upload ends its connection', async () => {
  await using upstream = await rawUpstream(answering(okAnswer('too large')));
  using proxy = proxyTo(upstream.address);
  const answer = recordedAnswer();
  const request = { method: 'POST', target: '/', headers: [['Content-Length', '9']], client: 'c' };
  const call = forward(proxy.deps, request as never, answer);
  call.write(Buffer.from('abc'));
  expect((await answer.done).body).toBe('too large');
  expect(call.write(Buffer.from('def'))).toBe(true);
  call.endRequest();
  expect((await proxy.send({}).done).body).toBe('too large');
  expect(upstream.received).toHaveLength(2);
});

test('an upgrade passes bytes on untouched in both directions, also those that came early', async () => {
  await using upstream = await rawUpstream(({ socket }, bytes) => {
    socket.write(
      bytes.startsWith('GET')
        ? 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n\0first'
        : bytes.toUpperCase(),
    );
  });
  using proxy = proxyTo(upstream.address);
  const answer = recordedAnswer();
  const headers = [
    ['Connection', 'Upgrade'],
    ['Upgrade', 'SPDY/3.1'],
    ['X-Stream-Protocol-Version', 'v4'],
  ];
  const request = { method: 'GET', target: '/exec', headers, client: 'c' };
  const call = forward(proxy.deps, request as never, answer);
  call.write(Buffer.from('early;'));
  expect(await answer.headed).toEqual({
    status: 101,
    reason: 'Switching Protocols',
    headers: [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'SPDY/3.1'],
    ],
  });
  call.write(Buffer.from('late;'));
  await until('it has come back', () => answer.body().endsWith('LATE;'));
  expect(answer.body()).toBe('\0firstEARLY;LATE;');
  call.endRequest();
  expect(upstream.received[0]).toContain('Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
});

test('an upgrade that nobody asked for is a broken answer', async () => {
  await using upstream = await rawUpstream(
    answering('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nraw bytes'),
  );
  using proxy = proxyTo(upstream.address);
  const answer = await proxy.send({}).done;
  expect([answer.status, JSON.parse(answer.body).code]).toEqual([503, 503]);
  expect(answer.body).not.toContain('raw bytes');
  expect(proxy.deps.pool.connections()).toBe(0);
});

test('an application that refuses is named, with what to look at, and not k3s', async () => {
  const gone = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  gone.stop(true);
  const applications = serviceApplications(
    { locate: async () => ({ host: '127.0.0.1', port: gone.port }) },
    () => undefined,
  );
  const shop = applications.service({ namespace: 'shop', name: 'web', port: 80, tls: false });
  const { address } = await shop.locate();
  using proxy = proxyTo(address);
  const { status, body } = await proxy.send({}).done;
  expect({ status, body: JSON.parse(body) }).toEqual({
    status: 503,
    body: {
      ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code: 503 },
      message: `pipeops-agent: Cannot reach Service shop/web, port 80 at 127.0.0.1:${gone.port}: it refuses connections`,
      reason: 'ServiceUnavailable',
      details: {
        causes: [
          {
            reason: 'APPLICATION_UNREACHABLE',
            message:
              'Check that its pods run and listen on the target port of that port: kubectl -n shop describe service web',
          },
        ],
      },
    },
  });
});

test('a certificate of another authority is refused', async () => {
  await using upstream = await rawUpstream(answering(okAnswer('secret')));
  await using other = await rawUpstream(answering(okAnswer('')));
  const { makeCertificates } = await import('../support/tls.ts');
  const { ca } = await makeCertificates(['127.0.0.1']);
  using proxy = proxyTo({ ...upstream.address, trust: { ca } });
  const answer = await proxy.send({}).done;
  expect(answer.status).toBe(503);
  expect(upstream.received.join('')).toBe('');
  expect(other.received).toEqual([]);
});

test('a 401 of the API server makes the agent look at its credentials again', async () => {
  await using upstream = await rawUpstream(
    answering('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n'),
  );
  using proxy = proxyTo(upstream.address);
  expect((await proxy.send({}).done).status).toBe(401);
  expect(proxy.unauthorized()).toBe(1);
});

test('who goes away takes the request to the API server along', async () => {
  await using upstream = await rawUpstream(answering('HTTP/1.1 200 OK\r\n\r\nforever'));
  using proxy = proxyTo(upstream.address);
  const answer = recordedAnswer();
  const request = { method: 'GET', target: '/x?watch=true', headers: [], client: 'c' };
  const call = forward(proxy.deps, request, answer);
  await answer.headed;
  expect(proxy.deps.turns.counts()).toEqual({ running: 0, waiting: 0, streams: 1 });
  call.abort();
  await until('the API server is left', () => upstream.open() === 0);
  expect(proxy.deps.turns.counts()).toEqual({ running: 0, waiting: 0, streams: 0 });
  expect(proxy.deps.pool.connections()).toBe(0);
});

test('a reader that pauses stops the API server instead of filling memory', async () => {
  const CHUNK = 'x'.repeat(1024 * 1024);
  let written = 0;
  await using upstream = await rawUpstream(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    const more = () => {
      written += CHUNK.length;
      if (written < 256 * CHUNK.length && socket.write(CHUNK)) {
        setImmediate(more);
      }
    };
    socket.on('drain', more);
    more();
  });
  using proxy = proxyTo(upstream.address);
  let received = 0;
  const answer = recordedAnswer();
  const call = forward(
    proxy.deps,
    { method: 'GET', target: '/bulk', headers: [], client: 'c' },
    {
      ...answer,
      data: (chunk) => {
        received += chunk.length;
        call.pause();
      },
    },
  );
  call.endRequest();
  await answer.headed;
  await until('it comes', () => received > 0);
  expect(await atRest(() => written)).toBeLessThan(32 * CHUNK.length);
  expect(received).toBeLessThan(4 * CHUNK.length);
  call.abort();
});

test('when the door closes a watch ends, and what ends by itself goes on', async () => {
  await using upstream = await rawUpstream(({ socket }, bytes) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n');
    if (bytes.includes('/finite')) {
      finish = () => socket.write('3\r\ntwo\r\n0\r\n\r\n');
    }
  });
  let finish: () => void = () => undefined;
  using proxy = proxyTo(upstream.address);
  const { leaving, leave } = door();
  const watches = ['/pods?watch=true', '/pods/a/log?tail=1&follow=1'].map((target) =>
    proxy.send({ target, leaving }),
  );
  const finite = proxy.send({ target: '/finite', leaving });
  await Promise.all([...watches, finite].map(({ headed }) => headed));
  leave();
  for (const { done } of watches) {
    expect(await done).toMatchObject({ status: 200, body: 'one' });
  }
  finish();
  expect(await finite.done).toMatchObject({ status: 200, body: 'onetwo' });
  expect(proxy.deps.turns.counts()).toEqual({ running: 0, waiting: 0, streams: 0 });
});

test('when the door closes an upgraded connection ends', async () => {
  await using upstream = await rawUpstream(({ socket }) =>
    socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n'),
  );
  using proxy = proxyTo(upstream.address);
  const { leaving, leave } = door();
  const answer = recordedAnswer();
  const headers: HeaderList = [
    ['Connection', 'Upgrade'],
    ['Upgrade', 'SPDY/3.1'],
  ];
  forward(proxy.deps, { method: 'POST', target: '/exec', headers, client: 'x', leaving }, answer);
  await answer.headed;
  leave();
  expect(await answer.done).toMatchObject({ status: 101, body: '' });
});

test('when the door closes a watch that has no answer yet is told to come again', async () => {
  const asked = Promise.withResolvers<void>();
  await using upstream = await rawUpstream(() => asked.resolve());
  using proxy = proxyTo(upstream.address);
  const { leaving, leave } = door();
  const before = proxy.send({ target: '/pods?watch=1', leaving });
  await asked.promise;
  leave();
  const after = proxy.send({ target: '/pods?watch=1', leaving });
  for (const { done } of [before, after]) {
    const { status, headers, body } = await done;
    expect([status, headers]).toEqual([503, expect.arrayContaining([['Retry-After', '1']])]);
    expect(body).toContain('SHUTTING_DOWN');
  }
  expect(upstream.received).toHaveLength(1);
});

test('what the query of an application means is not guessed when the door closes', async () => {
  await using upstream = await rawUpstream(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none');
    finish = () => socket.write('two');
  });
  let finish: () => void = () => undefined;
  using proxy = proxyTo(upstream.address, {
    locate: async () => ({ address: upstream.address, host: 'shop', token: undefined }),
  });
  const { leaving, leave } = door();
  const answer = proxy.send({ target: '/list?watch=1', leaving });
  await answer.headed;
  leave();
  finish();
  expect(await answer.done).toMatchObject({ status: 200, body: 'onetwo' });
});

function door() {
  const closing = new AbortController();
  return { leaving: closing.signal, leave: () => closing.abort() };
}
