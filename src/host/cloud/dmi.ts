/** What the firmware says of whose machine this is, as cloud-init decides by it ("ds-identify"). */
import type { Files } from '../../core/ports.ts';
import { readCpuInfo } from '../facts/processor.ts';

const DIRECTORY = '/sys/class/dmi/id';
/** By which Azure marks its machines. */
const AZURE_ASSET = '7783-7084-3265-9085-8269-3286-77';

/** As the wire names them. */
export type CloudName =
  | 'aws'
  | 'gcp'
  | 'azure'
  | 'digitalocean'
  | 'hetzner'
  | 'oracle'
  | 'scaleway'
  | 'vultr'
  | 'linode'
  | 'openstack'
  | 'alibaba'
  | 'tencent'
  | 'upcloud'
  | 'exoscale'
  | 'bare-metal';

/** By the beginning of one field, the first that fits. */
const MARKS: readonly (readonly [field: string, begins: string, name: CloudName])[] = [
  ['chassis_asset_tag', AZURE_ASSET, 'azure'],
  ['chassis_asset_tag', 'OracleCloud.com', 'oracle'],
  ['sys_vendor', 'Amazon EC2', 'aws'],
  ['bios_vendor', 'Amazon EC2', 'aws'],
  ['product_name', 'Google Compute Engine', 'gcp'],
  ['sys_vendor', 'DigitalOcean', 'digitalocean'],
  ['sys_vendor', 'Hetzner', 'hetzner'],
  ['sys_vendor', 'Scaleway', 'scaleway'],
  ['sys_vendor', 'Vultr', 'vultr'],
  ['sys_vendor', 'Linode', 'linode'],
  ['sys_vendor', 'Akamai', 'linode'],
  ['sys_vendor', 'UpCloud', 'upcloud'],
  ['sys_vendor', 'Exoscale', 'exoscale'],
  ['sys_vendor', 'Alibaba Cloud', 'alibaba'],
  ['sys_vendor', 'Tencent Cloud', 'tencent'],
  ['sys_vendor', 'OpenStack', 'openstack'],
  ['product_name', 'OpenStack', 'openstack'],
];

/** @returns undefined where it is not known: another hypervisor, or no firmware that says anything */
export async function cloudByFirmware(files: Files): Promise<CloudName | undefined> {
  const names = [...new Set(MARKS.map(([field]) => field))];
  const texts = await Promise.all(
    names.map(async (field) => ((await files.readText(`${DIRECTORY}/${field}`)) ?? '').trim()),
  );
  const fields = new Map(names.map((field, index) => [field, texts[index] ?? '']));
  const mark = MARKS.find(([field, begins]) => fields.get(field)?.startsWith(begins) === true);
  if (mark !== undefined || fields.get('sys_vendor') === '') {
    return mark?.[2];
  }
  // Only a guest has that flag (Linux, "cpufeatures.h").
  const { flags } = await readCpuInfo(files);
  return flags === undefined || flags.has('hypervisor') ? undefined : 'bare-metal';
}
