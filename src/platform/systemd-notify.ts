import { SOCKET_PATH_BYTES_MAX, unixDatagrams } from './unix-datagrams.ts';

/** @param descriptor goes with it: the service manager gets a copy of its own */
export type Notify = (state: string, descriptor?: number) => void;

/**
 * sd_notify(3): one datagram of KEY=VALUE lines to $NOTIFY_SOCKET, from the main process itself, which lets the unit keep
 * `NotifyAccess=main`.
 * @param socketPath $NOTIFY_SOCKET; a leading "@" means the abstract namespace
 * @returns undefined where no service manager listens
 */
export function systemdNotify(socketPath: string | undefined): Notify | undefined {
  if (socketPath === undefined || socketPath === '') {
    return undefined;
  }
  const path = socketPath.replace(/^@/, '\0');
  if (Buffer.byteLength(path) >= SOCKET_PATH_BYTES_MAX) {
    throw new RangeError(`Cannot use NOTIFY_SOCKET: its path is longer than the system allows`);
  }
  const send = unixDatagrams(path);
  // A lost message is harmless: the next one repeats it, and the watchdog decides in the end.
  return (state, descriptor) => void send(Buffer.from(state), descriptor);
}
