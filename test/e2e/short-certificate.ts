/** A certificate of k3s that ends in so many days, as if the node had not been restarted for a year. */
import { X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { runCommand } from '../vm/host-command.ts';
import type { Machine } from '../vm/machine.ts';

const DAY_MS = 24 * 3_600_000;
const TLS = '/var/lib/rancher/k3s/server/tls';

/** @param name below k3s' directory, without its ending; its key stands beside it */
export async function shortenCertificate(
  machine: Machine,
  {
    name,
    authority,
    days,
  }: { readonly name: string; readonly authority: string; readonly days: number },
): Promise<void> {
  const path = machine.pathOnHost(`/var/lib/rancher/k3s/${name}`);
  const signer = machine.pathOnHost(`${TLS}/${authority}`);
  const request = `${path}.csr`;
  const keep = ['-copy_extensions', 'copyall'];
  const crt = `${path}.crt`;
  await runCommand([
    ...['openssl', 'x509', '-x509toreq', ...keep, '-in', crt],
    ...['-signkey', `${path}.key`, '-out', request],
  ]);
  const { stdout } = await runCommand([
    ...['openssl', 'x509', '-req', ...keep, '-in', request, '-days', String(days)],
    ...['-CA', `${signer}.crt`, '-CAkey', `${signer}.key`, '-set_serial', '7'],
  ]);
  await writeFile(crt, `${stdout}${await readFile(`${signer}.crt`, 'utf8')}`);
  await runCommand(['rm', request]);
}

/** Whole days until it ends. */
export async function daysLeft(machine: Machine, name: string): Promise<number> {
  const pem = await machine.readFile(`/var/lib/rancher/k3s/${name}.crt`);
  return Math.floor((Date.parse(new X509Certificate(pem).validTo) - Date.now()) / DAY_MS);
}
