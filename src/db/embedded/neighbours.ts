/**
 * What our own PostgreSQL needs so that other nodes reach it, and it them: a certificate, a folder for the other nodes'
 * certificates and passwords, and the settings for a listener with TLS and nothing but TLS. Only the replication role may
 * come in there, and only into our database.
 *
 *   DIR/peers/server.pem, server.key    its own certificate
 *   DIR/peers/peer-NAME.pem, .pgpass    another node's certificate and password, 0600, of the server's user
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from './certificate.ts';
import type { Owner } from './user.ts';

/** The role as which other nodes read. */
export const peerRole = 'sallyport_repl';

const certificateFile = 'server.pem';
const keyFile = 'server.key';

export interface Listener {
  readonly address: string;
  readonly port: number;
}

/** Where files for the server lie: as we see the folder and as it does, and whose they are. */
export interface PeerPlace {
  readonly folder: string;
  readonly seen: string;
  readonly uid: number;
  readonly gid: number;
}

export interface PeerFiles {
  /** PEM, to be pinned by other nodes. */
  readonly certificate: string;
  /** Writes a file that the server alone can read, and returns its path as the server sees it. */
  write(name: string, content: string): string;
  remove(name: string): void;
}

/** Makes the folder and the certificate where they are missing. */
export function preparePeers(folder: string, owner: Owner): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  chownSync(folder, owner.uid, owner.gid);
  if (existsSync(join(folder, certificateFile)) && existsSync(join(folder, keyFile))) return;
  const { certificate, privateKey } = makeCertificate('sallyport');
  const place = { folder, seen: folder, ...owner };
  writeFor(place, keyFile, privateKey);
  writeFor(place, certificateFile, certificate);
}

/** The files of a folder that was prepared. */
export function peerFiles(place: PeerPlace): PeerFiles {
  return {
    certificate: readFileSync(join(place.folder, certificateFile), 'utf8'),
    write: (name, content) => writeFor(place, name, content),
    remove: (name) => rmSync(join(place.folder, name), { force: true }),
  };
}

/** Whole or not at all, and never readable by anybody else. */
function writeFor({ folder, seen, uid, gid }: PeerPlace, name: string, content: string): string {
  const path = join(folder, name);
  const half = `${path}.new`;
  rmSync(half, { force: true });
  writeFileSync(half, content, { mode: 0o600, flag: 'wx' });
  chownSync(half, uid, gid);
  renameSync(half, path);
  return join(seen, name);
}

/**
 * Settings of a server that is one of several. A peer that stays away may keep 4 GiB of the log and no more: then its
 * place is given up, and it copies everything anew (`sallyport node heal --peer`).
 */
export function peerSettings({ address, port }: Listener, folder: string): Readonly<Record<string, string>> {
  return {
    listen_addresses: address,
    port: String(port),
    ssl: 'on',
    ssl_cert_file: join(folder, certificateFile),
    ssl_key_file: join(folder, keyFile),
    ssl_min_protocol_version: 'TLSv1.3',
    wal_level: 'logical',
    max_replication_slots: '32',
    max_wal_senders: '32',
    max_worker_processes: '48',
    max_logical_replication_workers: '32',
    max_slot_wal_keep_size: '4GB',
    wal_retrieve_retry_interval: '1s',
    // A line that is cut without a word is noticed within this time.
    wal_sender_timeout: '20s',
    wal_receiver_timeout: '20s',
  };
}
