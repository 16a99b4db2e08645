/**
 * Client Info: who logs in, and how the desktop is wanted (MS-RDPBCGR §2.2.1.11). Pure. The gate reads it from the
 * client and writes a new one for the target, with the vault's credential in it; of the client's it keeps what is about
 * its machine. The cookie for automatic reconnection never passes, in either direction.
 */
import { LittleReader } from '../../wire/little-reader.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import type { Violation } from '../../wire/violation.ts';

export interface ClientInfo {
  readonly codePage: number;
  readonly flags: number;
  readonly domain: string;
  readonly user: string;
  /** UTF-16LE, a copy: whoever takes it zeroes it. */
  readonly password: Uint8Array;
  readonly shell: string;
  readonly workingDirectory: string;
  /** Address family, address, folder, time zone, session and performance flags as they stand; empty if there is none. */
  readonly extra: Uint8Array;
}

/** Flags of Client Info. */
export const infoFlag = {
  mouse: 0x1,
  disableCtrlAltDel: 0x2,
  autologon: 0x8,
  unicode: 0x10,
  maximizeShell: 0x20,
  logonNotify: 0x40,
  compression: 0x80,
  compressionTypes: 0x1e00,
  compression64k: 0x0200,
  remoteApp: 0x8000,
  audioCapture: 0x200000,
  passwordIsPin: 0x40000,
  noAudio: 0x80000,
} as const;

/** Security header flags (§2.2.8.1.1.2.1). */
export const securityFlag = { info: 0x40, license: 0x80 } as const;

const longestText = 512;
const extraFixed = 172;

/** Decodes the payload of the client's first data on the I/O channel, security header and all. */
export function decodeClientInfo(payload: Uint8Array): ClientInfo | Violation {
  const reader = new LittleReader(payload);
  if ((reader.u16() & securityFlag.info) === 0) return { violation: 'no Client Info where one is due' };
  reader.skip(2);
  const codePage = reader.u32();
  const flags = reader.u32();
  if ((flags & infoFlag.unicode) === 0) return { violation: 'a Client Info that is not in Unicode' };
  const lengths = Array.from({ length: 5 }, () => reader.u16());
  if (lengths.some((length) => length > longestText)) return { violation: 'a name or password that is too long' };
  const [domain = 0, user = 0, password = 0, shell = 0, directory = 0] = lengths;
  const words = (count: number): string => {
    const value = reader.utf16(count);
    reader.skip(2);
    return value;
  };
  const domainText = words(domain);
  const userText = words(user);
  const passwordBytes = reader.raw(password).slice();
  reader.skip(2);
  const shellText = words(shell);
  const directoryText = words(directory);
  if (reader.violation !== undefined) {
    passwordBytes.fill(0);
    return { violation: reader.violation };
  }
  return {
    codePage,
    flags,
    domain: domainText,
    user: userText,
    password: passwordBytes,
    shell: shellText,
    workingDirectory: directoryText,
    extra: reader.rest(),
  };
}

export interface Injection {
  readonly domain: string;
  readonly user: string;
  /** UTF-16LE. Stays the caller's to zero, as does the result. */
  readonly password: Uint8Array;
  /** The one program that runs instead of the desktop; empty for the desktop. */
  readonly shell: string;
}

/** The payload for a target: the injected credential, and of the client's what is about its machine. */
export function encodeClientInfo(client: ClientInfo, injection: Injection): Uint8Array {
  let flags = client.flags & ~(infoFlag.passwordIsPin | infoFlag.compression | infoFlag.compressionTypes);
  flags = (flags & ~infoFlag.remoteApp) | infoFlag.autologon | infoFlag.unicode | infoFlag.logonNotify;
  flags |= readableCompression(client.flags);
  const { domain, user, password, shell } = injection;
  const writer = new LittleWriter(1024)
    .u16(securityFlag.info)
    .u16(0)
    .u32(client.codePage)
    .u32(flags >>> 0)
    .u16(2 * domain.length)
    .u16(2 * user.length)
    .u16(password.length)
    .u16(2 * shell.length)
    .u16(0);
  writer.utf16(domain).u16(0).utf16(user).u16(0).raw(password).u16(0).utf16(shell).u16(0).u16(0);
  return writer.raw(withoutCookie(client.extra)).finish();
}

/** The compression that a client asks for, at most the kind with a history of 64 KiB: no other can be read here. */
function readableCompression(flags: number): number {
  if ((flags & infoFlag.compression) === 0) return 0;
  return infoFlag.compression | ((flags & infoFlag.compressionTypes) === 0 ? 0 : infoFlag.compression64k);
}

/** The extra information up to the performance flags, with no cookie for automatic reconnection (§2.2.1.11.1.1.1). */
function withoutCookie(extra: Uint8Array): Uint8Array {
  const reader = new LittleReader(extra);
  const family = reader.u16();
  const address = reader.raw(reader.u16());
  const folder = reader.raw(reader.u16());
  const zone = reader.raw(extraFixed);
  const session = reader.u32();
  const performance = reader.u32();
  if (reader.violation !== undefined) return new Uint8Array(0);
  return new LittleWriter(256)
    .u16(family)
    .u16(address.length)
    .raw(address)
    .u16(folder.length)
    .raw(folder)
    .raw(zone)
    .u32(session)
    .u32(performance)
    .u16(0)
    .finish();
}
