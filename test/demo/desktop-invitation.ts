/** What the demo of desktops says while it stays up: how to get to the desktop with which client, and what is kept where. */
import type { Product } from '../support/sallyport.ts';
import type { DesktopStage, Token } from './desktop-stage.ts';
import type { DesktopFindings } from './desktop-tour.ts';

/** Mints a token that waits for an hour; `cli` is how a person calls the command line. */
export async function invitation(
  stage: DesktopStage,
  product: Product,
  cli: string,
  { recording, picture }: DesktopFindings,
): Promise<string> {
  const selector = `alice@${stage.account}`;
  const { user, token, command, expiresAt } = await product.ask<Token & Record<string, unknown>>([
    'rdp',
    selector,
    '--minutes',
    '60',
  ]);
  const { address, port } = product.rdp;
  const fingerprint = stage.fingerprint.match(/../g)?.join(':');
  return `  ${command} /cert:fingerprint:sha256:${fingerprint}

The password that it asks for is a token, once, until ${expiresAt}:

  ${token}

  address  ${address}:${port}      any other client: Remmina with NLA, or mstsc from another machine
  user     ${user}      through ssh -L ${port}:${address}:${port} and then localhost:${port}

  ${cli} rdp ${selector}
  ${cli} sessions
  ${cli} recordings
  ${cli} play ${recording}
  ${cli} recording export ${recording} --text
  ${cli} history ${stage.account}
  ${cli} audit tail

Pictures, keys, the mouse and copied texts are recorded, encrypted, in ${product.data}/recordings.
The last picture of the first visit: ${picture}`;
}
