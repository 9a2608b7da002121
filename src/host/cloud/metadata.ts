/**
 * What the metadata services of clouds tell of a machine, each as its maker documents it. Only the
 * paths that are needed are asked: others hold passwords and keys.
 */
import { asObject, listAt, objectAt, valueAt } from '../../core/json-values.ts';
import type { CloudName } from './dmi.ts';

/** What one knows of this machine from its cloud; what is not told is undefined. */
export interface MachineMetadata {
  readonly region?: string | undefined;
  readonly zone?: string | undefined;
  readonly instanceId?: string | undefined;
  readonly instanceType?: string | undefined;
  /** By which the internet reaches it. */
  readonly publicAddress?: string | undefined;
}

export interface MetadataRequest {
  readonly method?: 'GET' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
}

/** The body of an answer 200; undefined for any other, and where nobody answers. */
export type AskMetadata = (url: string, request?: MetadataRequest) => Promise<string | undefined>;

const SERVICE = 'http://169.254.169.254';
const SCALEWAY = 'http://169.254.42.42';

/** Clouds that are not listed have no service that is asked. */
export const METADATA_READERS: Partial<
  Readonly<Record<CloudName, (ask: AskMetadata) => Promise<MachineMetadata>>>
> = { aws, gcp, azure, digitalocean, hetzner, oracle, scaleway, vultr, linode, openstack };

/** IMDSv2: docs.aws.amazon.com, "Use the Instance Metadata Service". */
async function aws(ask: AskMetadata): Promise<MachineMetadata> {
  const token = await ask(`${SERVICE}/latest/api/token`, {
    method: 'PUT',
    headers: { 'X-aws-ec2-metadata-token-ttl-seconds': '60' },
  });
  const headers = { 'X-aws-ec2-metadata-token': token ?? '' };
  const [document, publicAddress] = await Promise.all([
    ask(`${SERVICE}/latest/dynamic/instance-identity/document`, { headers }),
    ask(`${SERVICE}/latest/meta-data/public-ipv4`, { headers }),
  ]);
  const { region, availabilityZone, instanceId, instanceType } = fieldsOf(document);
  return { ...texts({ region, zone: availabilityZone, instanceId, instanceType }), publicAddress };
}

/** cloud.google.com, "About VM metadata". */
async function gcp(ask: AskMetadata): Promise<MachineMetadata> {
  const get = (path: string) =>
    ask(`${SERVICE}/computeMetadata/v1/instance/${path}`, {
      headers: { 'Metadata-Flavor': 'Google' },
    });
  const [instanceId, place, machine, publicAddress] = await Promise.all([
    get('id'),
    get('zone'),
    get('machine-type'),
    get('network-interfaces/0/access-configs/0/external-ip'),
  ]);
  // `projects/123/zones/europe-west1-b`
  const zone = place?.split('/').at(-1);
  const instanceType = machine?.split('/').at(-1);
  return { region: zone?.replace(/-[a-z]$/, ''), zone, instanceId, instanceType, publicAddress };
}

/** learn.microsoft.com, "Azure Instance Metadata Service". */
async function azure(ask: AskMetadata): Promise<MachineMetadata> {
  const get = (path: string) =>
    ask(`${SERVICE}/metadata/instance/${path}?api-version=2021-02-01&format=text`, {
      headers: { Metadata: 'true' },
    });
  const [region, zone, instanceId, instanceType, publicAddress] = await Promise.all([
    get('compute/location'),
    get('compute/zone'),
    get('compute/vmId'),
    get('compute/vmSize'),
    get('network/interface/0/ipv4/ipAddress/0/publicIpAddress'),
  ]);
  return { region, zone, instanceId, instanceType, publicAddress };
}

/** docs.digitalocean.com, "Metadata API". */
async function digitalocean(ask: AskMetadata): Promise<MachineMetadata> {
  const get = (path: string) => ask(`${SERVICE}/metadata/v1/${path}`);
  const [instanceId, region, publicAddress] = await Promise.all([
    get('id'),
    get('region'),
    get('interfaces/public/0/ipv4/address'),
  ]);
  return { region, instanceId, publicAddress };
}

/** docs.hetzner.cloud, "Server Metadata". */
async function hetzner(ask: AskMetadata): Promise<MachineMetadata> {
  const get = (path: string) => ask(`${SERVICE}/hetzner/v1/metadata/${path}`);
  const [instanceId, region, zone, publicAddress] = await Promise.all([
    get('instance-id'),
    get('region'),
    get('availability-zone'),
    get('public-ipv4'),
  ]);
  return { region, zone, instanceId, publicAddress };
}

/** docs.oracle.com, "Getting Instance Metadata": it does not know the public address. */
async function oracle(ask: AskMetadata): Promise<MachineMetadata> {
  const get = (path: string) =>
    ask(`${SERVICE}/opc/v2/instance/${path}`, { headers: { Authorization: 'Bearer Oracle' } });
  const [instanceId, region, zone, instanceType] = await Promise.all([
    get('id'),
    get('canonicalRegionName'),
    get('availabilityDomain'),
    get('shape'),
  ]);
  return { region, zone, instanceId, instanceType };
}

/** scaleway.com/docs, "Instance metadata". */
async function scaleway(ask: AskMetadata): Promise<MachineMetadata> {
  const conf = fieldsOf(await ask(`${SCALEWAY}/conf?format=json`));
  const { id, commercial_type: instanceType, zone: place } = conf;
  const { zone } = texts({ zone: place });
  const address = valueAt(conf['public_ip'], 'address');
  return {
    ...texts({ instanceId: id, instanceType, publicAddress: address }),
    region: zone?.replace(/-\d+$/, ''),
    zone,
  };
}

/** docs.vultr.com, "Metadata". */
async function vultr(ask: AskMetadata): Promise<MachineMetadata> {
  const all = fieldsOf(await ask(`${SERVICE}/v1.json`));
  const [first] = listAt(all, 'interfaces');
  const address = valueAt(objectAt(first, 'ipv4'), 'address');
  const regioncode = valueAt(all['region'], 'regioncode');
  const id = all['instance-v2-id'] ?? all['instanceid'];
  return texts({ region: regioncode, instanceId: id, publicAddress: address });
}

/** techdocs.akamai.com, "Metadata Service API". */
async function linode(ask: AskMetadata): Promise<MachineMetadata> {
  const token = await ask(`${SERVICE}/v1/token`, {
    method: 'PUT',
    headers: { 'Metadata-Token-Expiry-Seconds': '60' },
  });
  const headers = { 'Metadata-Token': token ?? '', Accept: 'application/json' };
  const [instance, network] = await Promise.all([
    ask(`${SERVICE}/v1/instance`, { headers }),
    ask(`${SERVICE}/v1/network`, { headers }),
  ]);
  const { id, region, type } = fieldsOf(instance);
  // `203.0.113.7/32`
  const [first] = listAt(objectAt(fieldsOf(network), 'ipv4'), 'public');
  const [publicAddress] = String(first ?? '').split('/');
  return { ...texts({ region, instanceId: id, instanceType: type }), publicAddress };
}

/** docs.openstack.org, "Metadata service": it knows no region. */
async function openstack(ask: AskMetadata): Promise<MachineMetadata> {
  const [document, publicAddress] = await Promise.all([
    ask(`${SERVICE}/openstack/latest/meta_data.json`),
    ask(`${SERVICE}/latest/meta-data/public-ipv4`),
  ]);
  const { uuid, availability_zone: zone } = fieldsOf(document);
  return { ...texts({ zone, instanceId: uuid }), publicAddress };
}

/** The fields of a JSON document; none where it is none. */
function fieldsOf(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    return asObject(JSON.parse(text ?? ''));
  } catch {
    return {};
  }
}

/** Of several values those that are texts or numbers. */
function texts<Name extends string>(
  values: Readonly<Record<Name, unknown>>,
): Partial<Record<Name, string>> {
  const entries = Object.entries(values).filter(
    ([, value]) => typeof value === 'string' || typeof value === 'number',
  );
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)])) as Partial<
    Record<Name, string>
  >;
}
