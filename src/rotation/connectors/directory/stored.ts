/** Comparing a password with what a directory keeps of it, so that nothing is counted there. */
import { argon2Sync, createHash, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../../base/secret.ts';
import { readStoredPassword, type StoredPassword } from './wire/stored-password.ts';

/** Whether this is one of the stored passwords; undefined if one of them is in a form that is not known here. */
export function isStored(password: Secret, stored: readonly Uint8Array[]): boolean | undefined {
  const forms = stored.map(readStoredPassword);
  if (forms.length === 0 || forms.includes(undefined)) return undefined;
  return forms.some((form) => form !== undefined && matches(password.reveal(), form));
}

function matches(password: Uint8Array, form: StoredPassword): boolean {
  const made = makeOf(password, form);
  return made.length === form.value.length && timingSafeEqual(made, form.value);
}

function makeOf(password: Uint8Array, form: StoredPassword): Uint8Array {
  switch (form.kind) {
    case 'clear':
      return password;
    case 'digest':
      return createHash(form.digest).update(password).update(form.salt).digest();
    case 'pbkdf2':
      return pbkdf2Sync(password, form.salt, form.iterations, form.value.length, form.digest);
    case 'argon2':
      return argon2Sync(form.variant, {
        message: password,
        nonce: form.salt,
        parallelism: form.lanes,
        memory: form.memory,
        passes: form.passes,
        tagLength: form.value.length,
      });
    default:
      return form satisfies never;
  }
}
