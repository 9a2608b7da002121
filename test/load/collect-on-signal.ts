/** Loaded before a daemon under test: at SIGUSR2 it collects all garbage, and says so in a line. */
process.on('SIGUSR2', () => {
  Bun.gc(true);
  process.stdout.write('collected\n');
});
