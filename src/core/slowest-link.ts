/** The slowest link that is worked over: 128 kbit/s, in bytes for each millisecond. */
export const SLOWEST_BYTES_PER_MS = 16;
