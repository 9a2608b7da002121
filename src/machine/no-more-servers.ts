/** Why there are no tokens for further servers. */
export const NO_MORE_SERVERS =
  'this version joins workers only; more servers come with high availability, ' +
  'for which "install --ha" keeps the data in etcd';
