/** Asking a server for its host keys, or its certificate, before anybody has trusted one: what an operator compares and then trusts. */
import { check } from '../base/signals.ts';
import { processRunner } from './connectors/run.ts';
import { type RotationRefusal, turnDown } from './refusal.ts';
import { remedyOf } from './remedies.ts';

export interface FoundKey {
  /** The key's type: `ssh-ed25519`, `ssh-rsa`… */
  readonly algorithm: string;
  readonly publicKey: Uint8Array;
}

const deadlineMs = 30_000;

/** The host keys that a server shows; refused when it shows none. They prove nothing yet. */
export async function scanHostKeys(
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<readonly FoundKey[] | RotationRefusal> {
  const words = await scan('ssh', address, port, signal);
  if (typeof words !== 'string') return words;
  return words.split('\n').flatMap((line) => {
    const [algorithm, code] = line.split(' ');
    if (algorithm === undefined || code === undefined) return [];
    return [{ algorithm, publicKey: new Uint8Array(Buffer.from(code, 'base64')) }];
  });
}

/** The certificate (DER) that a server for RDP shows. */
export async function scanCertificate(
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<Uint8Array | RotationRefusal> {
  const words = await scan('rdp', address, port, signal);
  return typeof words === 'string' ? new Uint8Array(Buffer.from(words, 'base64')) : words;
}

async function scan(
  protocol: 'ssh' | 'rdp',
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<string | RotationRefusal> {
  check(signal);
  await using run = processRunner();
  const answer = await run({ connector: '', operation: 'scan', protocol, address, port }, { deadlineMs }, signal);
  if (answer.outcome === 'confirmed') return answer.words;
  const refusal = turnDown('rotation.target-unreachable', `${address} port ${port}: ${answer.words}`);
  return { ...refusal, class: answer.class, remedy: remedyOf(answer.class) };
}
