/** Drawing a new value: a password by the account's policy, or a key pair. It is not stored here. */
import { codeOf, wordsOf } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { generateKeyPair, type KeyKind } from '../../protocol/ssh/ssh.ts';
import { type Credential, versionsOf } from '../../vault/vault.ts';
import type { ChangeAnswer, Connector, NewCredential } from '../connectors/connector.ts';
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

/** Or why there is none: the policy allows nothing, or nothing that this connector can set. */
export async function drawFresh(
  context: Context,
  subject: Subject,
  connector: Connector,
): Promise<Fresh | ChangeAnswer> {
  const { account } = subject;
  if (connector.kind === 'password') {
    const secret = await drawPassword(context, subject, connector);
    if ('said' in secret) return secret;
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

async function drawPassword(context: Context, subject: Subject, connector: Connector): Promise<Secret | ChangeAnswer> {
  let fault = '';
  for (let draw = 0; draw < mostDraws; draw++) {
    const secret = await context.vault
      .generatePassword(context.db, subject.account.id, connector.forbidden)
      .catch((error: unknown) => {
        if (codeOf(error) !== 'vault.policy-impossible') throw error;
        return impossible(wordsOf(error));
      });
    if ('said' in secret) return secret;
    const found = connector.faultOfValue?.(secret, subject.settings);
    if (found === undefined) return secret;
    secret[Symbol.dispose]();
    fault = found;
  }
  return impossible(`${connector.name} can set no password of policy ${subject.policy.name}: ${fault}`);
}

function impossible(words: string): ChangeAnswer {
  return { said: 'unsent', class: 'policy', words };
}

function zero(secret: Secret): () => void {
  return () => secret[Symbol.dispose]();
}
