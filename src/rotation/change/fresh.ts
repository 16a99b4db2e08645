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

/** Throws `vault.policy-impossible`. */
export async function drawFresh(context: Context, subject: Subject, connector: Connector): Promise<Fresh> {
  const { account } = subject;
  if (connector.kind === 'password') {
    const secret = await context.vault.generatePassword(context.db, account.id, connector.forbidden);
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

function zero(secret: Secret): () => void {
  return () => secret[Symbol.dispose]();
}
