import { Copy } from './copy.tsx';

/** Commands end hints: `Start it: sudo systemctl start k3s`. */
const COMMAND =
  /^(.*?): ((?:sudo |kubectl |systemctl |journalctl |pipeops-agent |timedatectl |df |free |ss |ip ).*)$/;

/** What to do, with a command that can be copied where there is one. */
export function Hint({ text }: { readonly text: string | undefined }) {
  if (text === undefined) {
    return null;
  }
  const [, words, command] = COMMAND.exec(text) ?? [];
  return command === undefined ? (
    <p class="hint">{text}</p>
  ) : (
    <p class="hint">
      {words}: <Copy text={command} />
    </p>
  );
}
