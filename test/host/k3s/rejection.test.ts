import { describe, expect, test } from 'bun:test';
import { rejectionOf } from '../../../src/host/k3s/rejection.ts';

const SERVER = 'https://10.0.0.1:6443';
const PASSWORD =
  "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not " +
  'match server node-passwd entry, try enabling a unique node name with the --with-node-id flag';

describe('rejectionOf()', () => {
  test.each([
    ['k3s', `level=error msg="${PASSWORD}"`],
    [
      'a later k3s',
      `level=info msg="Waiting to retrieve agent configuration; server is not ready: ${PASSWORD}"`,
    ],
    [
      'the answer of the server',
      `level=error msg="Failed to join: ${SERVER}/v1-k3s/client-kubelet.crt: 403 Forbidden: ${PASSWORD}"`,
    ],
  ])('a name that another machine has, in the words of %s', (_, line) => {
    expect(rejectionOf([line], 'worker')).toMatchObject({
      code: 'NODE_NAME_TAKEN',
      message: 'The cluster knows another machine by the name "worker"',
      hint: expect.stringContaining('kubectl delete node worker'),
    });
  });

  test.each([
    `level=error msg="Failed to join the cluster at ${SERVER}: failed to retrieve agent configuration: ${SERVER}/v1-k3s/config: 401 Unauthorized: not authenticated"`,
    'level=fatal msg="Failed to validate connection to cluster at https://10.0.0.1:6443: 401 Unauthorized"',
    `level=error msg="${SERVER}/v1-k3s/serving-kubelet.crt: 403 Forbidden: system:anonymous is not a node"`,
  ])('a token that the server does not take: %s', (line) => {
    expect(rejectionOf([line], 'worker')).toMatchObject({
      code: 'JOIN_TOKEN_REJECTED',
      message: 'The server does not accept the join token: it was revoked, or has ended',
    });
  });

  test('a token of another cluster', () => {
    const line =
      'level=error msg="token CA hash does not match the Cluster CA certificate hash: a != b"';
    expect(rejectionOf([line], 'worker')).toMatchObject({
      code: 'JOIN_TOKEN_REJECTED',
      message: 'The token is of another cluster than the server',
    });
  });

  test.each([
    'level=error msg="failed to pull image registry.test/app: 403 Forbidden"',
    'E1129 10:00:00.000000 kubelet.go:1 "fetch oauth token" err="401 Unauthorized"',
    'level=info msg="Started https://10.0.0.1:6443/v1-k3s/connect after 403 ms"',
    'level=error msg="https://10.0.0.1:6443/v1-k3s/config: 503 Service Unavailable"',
    'level=error msg="port 6403 is in use at https://10.0.0.1:6443/v1-k3s/config"',
  ])('not what somebody else was refused, or another trouble: %s', (line) => {
    expect(rejectionOf([line], 'worker')).toBeUndefined();
  });

  test('the newest word counts', () => {
    const token = `level=error msg="${SERVER}/v1-k3s/config: 401 Unauthorized"`;
    const name = `level=error msg="${PASSWORD}"`;
    expect(rejectionOf([token, name, 'level=info msg=x'], 'w')?.code).toBe('NODE_NAME_TAKEN');
    expect(rejectionOf([name, token], 'w')?.code).toBe('JOIN_TOKEN_REJECTED');
  });
});
