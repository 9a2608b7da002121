/** Clouds as their makers document their metadata services, played by a server that runs here. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test';
import type { Http } from '../../../src/core/ports.ts';
import { readCloudFacts } from '../../../src/host/cloud/facts.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { memoryDirectory } from '../../support/temp-dir.ts';

const NEVER = new AbortController().signal;
/** Longer than all questions may take, and far shorter than a person waits. */
const ENOUGH_MS = 5_000;

interface Cloud {
  /** Of /sys/class/dmi/id. */
  readonly dmi: Readonly<Record<string, string>>;
  /** Answers by method and path; a function decides by the headers. */
  readonly answers: Readonly<Record<string, string | ((headers: Headers) => string | undefined)>>;
  readonly facts: object;
}

const given = (name: string, value: string, answer: string) => (headers: Headers) =>
  headers.get(name) === value ? answer : undefined;

const CLOUDS: Readonly<Record<string, Cloud>> = {
  aws: {
    dmi: { sys_vendor: 'Amazon EC2', product_name: 't3.small' },
    answers: {
      'PUT /latest/api/token': given('X-aws-ec2-metadata-token-ttl-seconds', '60', 'AQAE=='),
      'GET /latest/dynamic/instance-identity/document': given(
        'X-aws-ec2-metadata-token',
        'AQAE==',
        '{"accountId":"1","availabilityZone":"eu-central-1a","instanceId":"i-0abc","instanceType":"t3.small","region":"eu-central-1"}',
      ),
      'GET /latest/meta-data/public-ipv4': given(
        'X-aws-ec2-metadata-token',
        'AQAE==',
        '203.0.113.7',
      ),
    },
    facts: {
      provider: 'aws',
      region: 'eu-central-1',
      zone: 'eu-central-1a',
      instanceId: 'i-0abc',
      instanceType: 't3.small',
      publicAddress: '203.0.113.7',
    },
  },
  gcp: {
    dmi: { sys_vendor: 'Google', product_name: 'Google Compute Engine' },
    answers: Object.fromEntries(
      Object.entries({
        id: '4711',
        zone: 'projects/123/zones/europe-west1-b',
        'machine-type': 'projects/123/machineTypes/e2-small',
        'network-interfaces/0/access-configs/0/external-ip': '203.0.113.8',
      }).map(([path, answer]) => [
        `GET /computeMetadata/v1/instance/${path}`,
        given('Metadata-Flavor', 'Google', answer),
      ]),
    ),
    facts: {
      provider: 'gcp',
      region: 'europe-west1',
      zone: 'europe-west1-b',
      instanceId: '4711',
      instanceType: 'e2-small',
      publicAddress: '203.0.113.8',
    },
  },
  azure: {
    dmi: {
      sys_vendor: 'Microsoft Corporation',
      chassis_asset_tag: '7783-7084-3265-9085-8269-3286-77',
    },
    answers: Object.fromEntries(
      Object.entries({
        'compute/location': 'westeurope',
        'compute/zone': '',
        'compute/vmId': '02aab8a4-74ef-476e-8182-f6d2ba4166a6',
        'compute/vmSize': 'Standard_B1s',
        'network/interface/0/ipv4/ipAddress/0/publicIpAddress': '',
      }).map(([path, answer]) => [
        `GET /metadata/instance/${path}`,
        given('Metadata', 'true', answer),
      ]),
    ),
    facts: {
      provider: 'azure',
      region: 'westeurope',
      instanceId: '02aab8a4-74ef-476e-8182-f6d2ba4166a6',
      instanceType: 'Standard_B1s',
    },
  },
  digitalocean: {
    dmi: { sys_vendor: 'DigitalOcean', product_name: 'Droplet' },
    answers: {
      'GET /metadata/v1/id': '2756294',
      'GET /metadata/v1/region': 'nyc3',
      'GET /metadata/v1/interfaces/public/0/ipv4/address': '203.0.113.9',
    },
    facts: {
      provider: 'digitalocean',
      region: 'nyc3',
      instanceId: '2756294',
      publicAddress: '203.0.113.9',
    },
  },
  hetzner: {
    dmi: { sys_vendor: 'Hetzner', product_name: 'vServer' },
    answers: {
      'GET /hetzner/v1/metadata/instance-id': '42',
      'GET /hetzner/v1/metadata/region': 'eu-central',
      'GET /hetzner/v1/metadata/availability-zone': 'fsn1-dc14',
      'GET /hetzner/v1/metadata/public-ipv4': '203.0.113.10\n',
    },
    facts: {
      provider: 'hetzner',
      region: 'eu-central',
      zone: 'fsn1-dc14',
      instanceId: '42',
      publicAddress: '203.0.113.10',
    },
  },
  oracle: {
    dmi: { sys_vendor: 'QEMU', chassis_asset_tag: 'OracleCloud.com' },
    answers: Object.fromEntries(
      Object.entries({
        id: 'ocid1.instance.oc1.eu-frankfurt-1.abc',
        canonicalRegionName: 'eu-frankfurt-1',
        availabilityDomain: 'EMIr:EU-FRANKFURT-1-AD-1',
        shape: 'VM.Standard.E2.1',
      }).map(([path, answer]) => [
        `GET /opc/v2/instance/${path}`,
        given('Authorization', 'Bearer Oracle', answer),
      ]),
    ),
    facts: {
      provider: 'oracle',
      region: 'eu-frankfurt-1',
      zone: 'EMIr:EU-FRANKFURT-1-AD-1',
      instanceId: 'ocid1.instance.oc1.eu-frankfurt-1.abc',
      instanceType: 'VM.Standard.E2.1',
    },
  },
  scaleway: {
    dmi: { sys_vendor: 'Scaleway', product_name: 'SCW-DEV1-S' },
    answers: {
      'GET /conf':
        '{"id":"11111111-2222","commercial_type":"DEV1-S","zone":"fr-par-1","public_ip":{"address":"203.0.113.11"},"ssh_public_keys":[]}',
    },
    facts: {
      provider: 'scaleway',
      region: 'fr-par',
      zone: 'fr-par-1',
      instanceId: '11111111-2222',
      instanceType: 'DEV1-S',
      publicAddress: '203.0.113.11',
    },
  },
  vultr: {
    dmi: { sys_vendor: 'Vultr', product_name: 'VC2' },
    answers: {
      'GET /v1.json':
        '{"instanceid":"1","instance-v2-id":"cb676a46","region":{"regioncode":"EWR"},"interfaces":[{"ipv4":{"address":"203.0.113.12"}}]}',
    },
    facts: {
      provider: 'vultr',
      region: 'EWR',
      instanceId: 'cb676a46',
      publicAddress: '203.0.113.12',
    },
  },
  linode: {
    dmi: { sys_vendor: 'Akamai', product_name: 'Compute Instance' },
    answers: {
      'PUT /v1/token': given('Metadata-Token-Expiry-Seconds', '60', 'token-1'),
      'GET /v1/instance': given(
        'Metadata-Token',
        'token-1',
        '{"id":12345,"label":"my-linode","region":"us-iad","type":"g6-standard-1"}',
      ),
      'GET /v1/network': given(
        'Metadata-Token',
        'token-1',
        '{"ipv4":{"public":["203.0.113.13/32"],"private":[]},"ipv6":{}}',
      ),
    },
    facts: {
      provider: 'linode',
      region: 'us-iad',
      instanceId: '12345',
      instanceType: 'g6-standard-1',
      publicAddress: '203.0.113.13',
    },
  },
  openstack: {
    dmi: { sys_vendor: 'OpenStack Foundation', product_name: 'OpenStack Nova' },
    answers: {
      'GET /openstack/latest/meta_data.json':
        '{"uuid":"83679162-1378","availability_zone":"nova","admin_pass":"secret"}',
      'GET /latest/meta-data/public-ipv4': '',
    },
    facts: { provider: 'openstack', zone: 'nova', instanceId: '83679162-1378' },
  },
};

let cloud: Cloud['answers'] = {};
let asked: string[] = [];
let server: ReturnType<typeof serve>;

function serve() {
  return Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: ({ method, url, headers }) => {
      const place = `${method} ${new URL(url).pathname}`;
      asked.push(place);
      const answer = cloud[place];
      const text = typeof answer === 'function' ? answer(headers) : answer;
      return text === undefined
        ? new Response('<html>Not found</html>', { status: 404 })
        : new Response(text);
    },
  });
}

beforeAll(() => {
  server = serve();
});
afterAll(async () => await server.stop(true));
beforeEach(() => {
  cloud = {};
  asked = [];
});

/** Everything at the places of the services goes to the server. */
const toServer: Http = (url, init) =>
  systemHttp(url.replace(/^http:\/\/169\.254\.(169\.254|42\.42)/, server.url.origin), init);

async function factsOf(
  dmi: Readonly<Record<string, string>>,
  { http = toServer, asksMetadata = true, cpu = 'flags : fpu hypervisor' } = {},
) {
  await using machine = await memoryDirectory();
  for (const [field, text] of Object.entries(dmi)) {
    await Bun.write(`${machine.path}/sys/class/dmi/id/${field}`, `${text}\n`);
  }
  await Bun.write(`${machine.path}/proc/cpuinfo`, `processor : 0\n${cpu}\n`);
  const deps = { clock: systemClock, files: systemFiles(machine.path), http };
  return await readCloudFacts(deps, asksMetadata, NEVER);
}

test.each(Object.entries(CLOUDS))('%s', async (_, { dmi, answers, facts }) => {
  cloud = answers;
  expect(await factsOf(dmi)).toEqual(facts as Awaited<ReturnType<typeof factsOf>>);
  expect(asked.toSorted()).toEqual(Object.keys(answers).toSorted());
});

test.each(Object.entries(CLOUDS))('%s with a service that knows nothing', async (name, { dmi }) => {
  expect(await factsOf(dmi)).toEqual({ provider: name as 'aws' });
});

test('where the firmware names no cloud, or metadata is off, nobody is asked', async () => {
  expect(await factsOf({})).toEqual({ provider: undefined });
  expect(await factsOf({ sys_vendor: 'QEMU' })).toEqual({ provider: undefined });
  expect(await factsOf({ sys_vendor: 'Dell Inc.' }, { cpu: 'flags : fpu sse4_2' })).toEqual({
    provider: 'bare-metal',
  });
  const off = { asksMetadata: false };
  expect(await factsOf({ sys_vendor: 'Hetzner' }, off)).toEqual({ provider: 'hetzner' });
  expect(asked).toEqual([]);
});

test('a service that never answers is not waited for', async () => {
  const silent: Http = (_, init) =>
    new Promise((_resolve, reject) => {
      init?.signal?.addEventListener('abort', () => reject(new Error('given up')));
    });
  const startedAt = performance.now();
  expect(await factsOf({ sys_vendor: 'Amazon EC2' }, { http: silent })).toEqual({
    provider: 'aws',
  });
  expect(performance.now() - startedAt).toBeLessThan(ENOUGH_MS);
});

test('a portal that answers everything with a page is no cloud', async () => {
  const page: Http = async () => new Response('<html><body>Please log in</body></html>');
  expect(await factsOf({ sys_vendor: 'DigitalOcean' }, { http: page })).toEqual({
    provider: 'digitalocean',
  });
});
