/**
 * Passwords of people: argon2id (RFC 9106) in PHC string form, and what a password must be. Nobody learns from the time
 * of an answer whether a user exists: checking without a hash does the same work and says no.
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { type Refusal, refuse } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import { commonPasswords } from './common-passwords.ts';

/** RFC 9106 §4, second recommended option: 64 MiB, three passes; one lane, because a login has one thread. */
const cost = { memory: 65_536, passes: 3, parallelism: 1 } as const;
const saltLength = 16;
const tagLength = 32;
const leastCharacters = 12;
/** What remains of a password without the name in it must carry it alone. */
const leastBesidesName = 10;
/** Longer ones are refused before any hashing. */
const mostBytes = 1024;

/** Hashes at the same time: each takes 64 MiB, and the thread pool has other work too. */
const lanes = Math.max(1, Math.min(4, availableParallelism()));
let running = 0;
const waiting: (() => void)[] = [];
let made = 0;

/** The PHC string of a new hash with a fresh salt. The work is done off the main thread. */
export async function hashPassword(password: Secret): Promise<string> {
  const salt = randomBytes(saltLength);
  const tag = await derive(password, salt, cost, tagLength);
  return `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${b64(salt)}$${b64(tag)}`;
}

/** Whether the password is the one of the PHC string. Without one: the same work, and no. */
export async function checkPassword(password: Secret, phc: string | undefined): Promise<boolean> {
  const stored = phc === undefined ? undefined : parsePhc(phc);
  const salt = stored?.salt ?? randomBytes(saltLength);
  const tag = await derive(password, salt, stored ?? cost, stored?.tag.length ?? tagLength);
  return stored !== undefined && timingSafeEqual(tag, stored.tag);
}

/** How many hashes this process has computed; equal work is tested by this number, not by a watch. */
export function hashesMade(): number {
  return made;
}

/** Refuses a password that a person should not have: short, long, the own name, or one that everybody tries first. */
export function weakness(password: Secret, name: string): Refusal<'identity.password-weak'> | undefined {
  if (password.length > mostBytes) return refuse('identity.password-weak', `longer than ${mostBytes} bytes`);
  const folded = new TextDecoder().decode(password.reveal()).normalize('NFKC').toLowerCase();
  if (Array.from(folded).length < leastCharacters) {
    return refuse('identity.password-weak', `shorter than ${leastCharacters} characters`);
  }
  const bare = folded.replace(/[^\p{L}\p{N}]/gu, '');
  const own = name.toLowerCase();
  const local = own.split('@')[0] ?? own;
  for (const part of [own, local]) {
    if (part.length >= 3 && folded.includes(part) && folded.replaceAll(part, '').length < leastBesidesName) {
      return refuse('identity.password-weak', 'little more than the name');
    }
  }
  if (new Set(folded).size < 5) return refuse('identity.password-weak', 'the same few characters again and again');
  if (commonPasswords.has(bare) || commonPasswords.has(bare.replace(/\p{N}+$/u, ''))) {
    return refuse('identity.password-weak', 'a common password');
  }
  return undefined;
}

interface Cost {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

function parsePhc(phc: string): (Cost & { readonly salt: Buffer; readonly tag: Buffer }) | undefined {
  const match = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([\w+/]{11,88})\$([\w+/]{22,88})$/.exec(phc);
  if (match === null) return undefined;
  const [, memory, passes, parallelism, salt = '', tag = ''] = match;
  return {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  };
}

async function derive(password: Secret, salt: Uint8Array, { memory, passes, parallelism }: Cost, length: number) {
  if (running >= lanes) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    made++;
    // A copy, so that a caller who disposes the secret meanwhile does not change what is hashed.
    using message = password.copy();
    return await new Promise<Buffer>((resolve, reject) => {
      argon2(
        'argon2id',
        { message: message.reveal(), nonce: salt, memory, passes, parallelism, tagLength: length },
        (error, tag) => (error === null ? resolve(tag) : reject(error)),
      );
    });
  } finally {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}

function b64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
