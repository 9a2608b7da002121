/** The slowest link that the agent works over: 128 kbit/s, in bytes per millisecond. */
export const SLOWEST_BYTES_PER_MS = 16;
