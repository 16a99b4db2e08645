/**
 * What may be done on a connection, as words. A grant lists them; a gate refuses what is not listed. Those of RDP are the
 * session itself (`rdp`) and what travels beside the picture: a grant without `rdp` opens no desktop, and its other words
 * of RDP are worth nothing by themselves.
 */

type SessionProtocol = 'ssh' | 'rdp';

/** The words that are spelled out, by protocol, in the order in which they are told. */
export const subprotocolsOf = {
  ssh: ['shell', 'exec', 'sftp', 'scp-up', 'scp-down'],
  rdp: [
    'rdp',
    'clipboard-up',
    'clipboard-down',
    'clipboard-files-up',
    'clipboard-files-down',
    'drives',
    'drives-read',
    'printers',
    'ports',
    'smartcards',
    'usb',
    'audio-out',
    'audio-in',
    'camera',
    'display-control',
  ],
} as const satisfies Readonly<Record<SessionProtocol, readonly string[]>>;

/** What a grant allows that names nothing. */
export const usualSubprotocols: readonly string[] = subprotocolsOf.ssh;

/** Channels by their name on the wire: static ones have up to seven characters (MS-RDPBCGR §2.2.1.3.4.1). */
const named = /^(?:static:[A-Za-z0-9_]{1,7}|dynamic:[A-Za-z0-9_.:-]{1,128})$/;
/** A channel that exists in servers only to be attacked. */
const never = /^static:ms_t120$/i;

/** Whether `word` is one of `protocol`, or of any protocol where none is named. */
export function isSubprotocol(word: string, protocol?: SessionProtocol): boolean {
  if (protocol === undefined) return isSubprotocol(word, 'ssh') || isSubprotocol(word, 'rdp');
  if ((subprotocolsOf[protocol] as readonly string[]).includes(word)) return true;
  return protocol === 'rdp' && named.test(word) && !never.test(word);
}

/** Those of `words` that count on `protocol`: spelled ones in their order, then channels by name. */
export function wordsFor(protocol: SessionProtocol, words: readonly string[]): string[] {
  if (protocol === 'rdp' && !words.includes('rdp')) return [];
  const spelled: readonly string[] = subprotocolsOf[protocol];
  const channels = words.filter((word) => !spelled.includes(word) && isSubprotocol(word, protocol));
  return [...spelled.filter((word) => words.includes(word)), ...[...new Set(channels)].sort()];
}
