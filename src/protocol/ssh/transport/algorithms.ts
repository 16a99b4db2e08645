/**
 * The algorithms of this room and the order in which it prefers them. Not here, on purpose: SHA-1, CBC, MACs before
 * encryption, finite-field groups, compression.
 */
import type { AlgorithmLists, Role } from '../types.ts';

export const kexNames = [
  'mlkem768x25519-sha256',
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
] as const;

export const hostKeyNames = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;

/** AES-GCM first: node:crypto does it natively in one pass, and with it the relay is fastest by far. */
const ciphers = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'chacha20-poly1305@openssh.com',
] as const;

/** Dropbear and many appliances know no encrypt-then-MAC; the last two are for them. */
const macs = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
] as const;

/**
 * The default lists. A server leaves chacha20-poly1305 out: the client's order decides, an unconfigured OpenSSH puts it
 * first, and its Poly1305 in TypeScript costs several times what AES-GCM does. It may be asked for by option.
 */
export function defaultAlgorithms(role: Role): AlgorithmLists {
  return {
    kex: kexNames,
    hostKey: hostKeyNames,
    cipher: role === 'server' ? ciphers.filter((name) => !name.startsWith('chacha20')) : ciphers,
    mac: macs,
  };
}

/** Drops names that this room does not have, so that a wrong option cannot agree on something unknown. */
export function known(lists: AlgorithmLists): AlgorithmLists {
  const keep = (list: readonly string[], names: readonly string[]): string[] =>
    list.filter((name) => names.includes(name));
  return {
    kex: keep(lists.kex, kexNames),
    hostKey: keep(lists.hostKey, hostKeyNames),
    cipher: keep(lists.cipher, ciphers),
    mac: keep(lists.mac, macs),
  };
}

/** The key type inside a public key blob that goes with a host key algorithm (RFC 8332 §3: all RSA keys are `ssh-rsa`). */
export function keyTypeOf(algorithm: string): string {
  return algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm;
}
