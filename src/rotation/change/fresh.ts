/** Drawing a new value: a password by the account's policy, or a key pair. It is not stored here. */
import type { Secret } from '../../base/secret.ts';
import { generateKeyPair, type KeyKind } from '../../protocol/ssh/ssh.ts';
import { type Credential, versionsOf } from '../../vault/vault.ts';
import type { Connector, NewCredential } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import { RotationError } from '../errors.ts';
import type { Subject } from './subject.ts';

/** As the vault keeps it and as the connector sends it. Disposing zeroes it. */
export interface Fresh extends Disposable {
  readonly stored: Credential;
  readonly sent: NewCredential;
}

/** So many draws that do not fit the connector mean that the policy does not. */
const mostDraws = 100;

/** Throws `vault.policy-impossible`, and `rotation.settings-invalid` when the connector can set nothing that is drawn. */
export async function drawFresh(context: Context, subject: Subject, connector: Connector): Promise<Fresh> {
  const { account } = subject;
  if (connector.kind === 'password') {
    const secret = await drawPassword(context, subject, connector);
    return { stored: { kind: 'password', secret }, sent: { kind: 'password', secret }, [Symbol.dispose]: zero(secret) };
  }
  if (connector.kind !== 'ssh-key') throw new RotationError('rotation.no-connector', connector.name);
  const kind = (account.settings['key_type'] ?? 'ed25519') as KeyKind;
  const pair = await generateKeyPair(kind, `${account.name}@${account.target.name}`);
  const { privateKeyOpenSsh: privateKey, publicKey } = pair;
  const replaces = (await versionsOf(context.db, account.id)).find((version) => version.current)?.publicKey;
  return {
    stored: { kind: 'ssh-key', privateKey, publicKey },
    sent: { kind: 'ssh-key', publicKey, replaces },
    [Symbol.dispose]: zero(privateKey),
  };
}

async function drawPassword(context: Context, subject: Subject, connector: Connector): Promise<Secret> {
  let fault = '';
  for (let draw = 0; draw < mostDraws; draw++) {
    const secret = await context.vault.generatePassword(context.db, subject.account.id, connector.forbidden);
    const found = connector.faultOfValue?.(secret, subject.settings);
    if (found === undefined) return secret;
    secret[Symbol.dispose]();
    fault = found;
  }
  const words = `${connector.name} can set no password of policy ${subject.policy.name}: ${fault}`;
  throw new RotationError('rotation.settings-invalid', words);
}

function zero(secret: Secret): () => void {
  return () => secret[Symbol.dispose]();
}
