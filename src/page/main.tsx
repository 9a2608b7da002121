import { render } from 'preact';
import { connect } from './agent/connection.ts';
import { App } from './app.tsx';

const place = document.getElementById('page');
if (place !== null) {
  render(<App connection={connect()} />, place);
}
