/**
 * A signed `.rdp` file: what a client of RDP opens to reach one place through the gate. The form is that of the signing
 * tool of Windows: the lines that `signscope` names, closed by a zero, are signed as UTF-16LE by a detached CMS without
 * attributes; the signature stands in base64 behind a header of twelve bytes. There is no secret in it: the token is typed.
 */
import { concat } from '../base/bytes.ts';

export interface RdpFileWish {
  /** `gate.corp.example:3389`. */
  readonly address: string;
  readonly user: string;
  /** Words of the grants that allow it. */
  readonly subprotocols: readonly string[];
  readonly depth: number;
}

/** Settings that a signature covers, by their names in `signscope`, in the order in which it names them. */
const signed: Readonly<Record<string, string>> = {
  'full address': 'Full Address',
  'alternate full address': 'Alternate Full Address',
  'negotiate security layer': 'Negotiate Security Layer',
  enablecredsspsupport: 'EnableCredSspSupport',
  'autoreconnection enabled': 'AutoReconnection Enabled',
  'prompt for credentials': 'Prompt For Credentials',
  'authentication level': 'Authentication Level',
  redirectdrives: 'RedirectDrives',
  redirectprinters: 'RedirectPrinters',
  redirectcomports: 'RedirectCOMPorts',
  redirectsmartcards: 'RedirectSmartCards',
  redirectclipboard: 'RedirectClipboard',
};

/** The lines of the file, in order, unsigned. Throws for a value that would begin another line. */
export function rdpLines({ address, user, subprotocols, depth }: RdpFileWish): string[] {
  const may = (...words: string[]): 0 | 1 => (words.some((word) => subprotocols.includes(word)) ? 1 : 0);
  const lines = [
    `full address:s:${address}`,
    // Without it a signed address could be led elsewhere by an unsigned one.
    `alternate full address:s:${address}`,
    'negotiate security layer:i:1',
    'enablecredsspsupport:i:1',
    // The gate knows a token again for two minutes.
    'autoreconnection enabled:i:1',
    'prompt for credentials:i:1',
    'authentication level:i:2',
    `redirectdrives:i:${may('drives', 'drives-read')}`,
    `redirectprinters:i:${may('printers')}`,
    `redirectcomports:i:${may('ports')}`,
    `redirectsmartcards:i:${may('smartcards')}`,
    `redirectclipboard:i:${may('clipboard-up', 'clipboard-down', 'clipboard-files-up', 'clipboard-files-down')}`,
    `username:s:${user}`,
    `session bpp:i:${depth}`,
    `audiomode:i:${may('audio-out') === 1 ? 0 : 2}`,
    `audiocapturemode:i:${may('audio-in')}`,
    `dynamic resolution:i:${may('display-control')}`,
  ];
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (lines.some((line) => /[\u0000-\u001f\u2028\u2029]/.test(line))) throw new Error('a name with control characters');
  return lines;
}

/** The bytes that are signed, and the lines behind which the signature goes. */
export function signedPart(lines: readonly string[]): { readonly text: string; readonly bytes: Uint8Array } {
  const covered = Object.keys(signed).flatMap((name) => lines.filter((line) => line.startsWith(`${name}:`)));
  const scope = covered.map((line) => signed[line.slice(0, line.indexOf(':'))]).join(',');
  const rest = lines.filter((line) => !covered.includes(line));
  const scopeLine = `signscope:s:${scope}`;
  return {
    text: [...covered, ...rest, scopeLine].map((line) => `${line}\r\n`).join(''),
    bytes: utf16([...covered, scopeLine].map((line) => `${line}\r\n`).join('') + '\0'),
  };
}

/** The whole file, UTF-16LE with its mark. `sign` makes a detached CMS in DER. */
export async function signedRdpFile(
  wish: RdpFileWish,
  sign: (bytes: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const { text, bytes } = signedPart(rdpLines(wish));
  const cms = await sign(bytes);
  const header = new DataView(new ArrayBuffer(12));
  header.setUint32(0, 0x00010001, true);
  header.setUint32(4, 1, true);
  header.setUint32(8, cms.length, true);
  const signature = Buffer.from(concat([new Uint8Array(header.buffer), cms])).toString('base64');
  return utf16(`\ufeff${text}signature:s:${signature}\r\n`);
}

function utf16(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'utf16le'));
}
