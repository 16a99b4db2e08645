/** Asking a server for its host keys before anybody has trusted one: what an operator compares and then trusts. */
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
  check(signal);
  const job = { connector: '', operation: 'scan', address, port } as const;
  await using run = processRunner();
  const answer = await run(job, { deadlineMs }, signal);
  if (answer.outcome !== 'confirmed') {
    const refusal = turnDown('rotation.target-unreachable', `${address} port ${port}: ${answer.words}`);
    return { ...refusal, class: answer.class, remedy: remedyOf(answer.class) };
  }
  return answer.words.split('\n').flatMap((line) => {
    const [algorithm, code] = line.split(' ');
    if (algorithm === undefined || code === undefined) return [];
    return [{ algorithm, publicKey: new Uint8Array(Buffer.from(code, 'base64')) }];
  });
}
