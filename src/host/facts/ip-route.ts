/** Where packets for some addresses are sent. */
export interface IpRoute {
  /** In CIDR notation; `0.0.0.0/0` or `::/0` for the default route. */
  readonly destination: string;
  /** `eth0`; empty where a route leads nowhere. */
  readonly device: string;
  readonly hasGateway: boolean;
}

export function isDefaultRoute({ destination }: IpRoute): boolean {
  return destination === '0.0.0.0/0' || destination === '::/0';
}
