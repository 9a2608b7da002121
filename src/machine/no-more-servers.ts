/** Why there are no tokens for further servers. */
export const NO_MORE_SERVERS =
  'a cluster made by "install" keeps its data in one server, which no second one can share; ' +
  'more servers come with high availability';
