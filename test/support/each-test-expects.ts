/** Loaded before each test file (bunfig.toml): a test that expects nothing could not fail. */
import { beforeEach, expect } from 'bun:test';

beforeEach(() => {
  expect.hasAssertions();
});
