/** Statuses by which an endpoint shows that it is there, and itself. */

/** REST of a control plane. One that speaks WebSocket only knows no such path: 404. */
export function isRestAnswer(status: number): boolean {
  return status >= 200 && status < 500 && status !== 407;
}

/**
 * An upgrade that is asked for without a token. A control plane says 101, or 401 or 403 because it wants
 * one; and 404 where it knows no WebSocket, which is no trouble of the network. A proxy that takes the
 * upgrade away makes it a plain request: 400 or 426 (RFC 9110 section 15.5.22).
 */
export function isUpgradeSeen(status: number): boolean {
  return [101, 401, 403, 404].includes(status);
}
