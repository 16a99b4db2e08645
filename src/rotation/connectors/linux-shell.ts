/** Words and scripts for a Linux machine's sh, and what came of them. */
import type { Fault } from './target.ts';

export interface Ran {
  /** undefined: ended by a signal, or without a word. */
  readonly status: number | undefined;
  readonly stdout: Uint8Array;
  readonly stderr: string;
  /** Something stood in its place, so that the command never began: su said no, or a password has expired. */
  readonly fault?: Fault;
}

/** More output than this ends a command. */
export const mostOutput: number = 1 << 20;

/** What useradd(8) allows, and capital letters; no colon, no line end, nothing that a shell or an option parser reads. */
const nameShape = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?$/;

/** Why this is no login name that we hand to a machine. */
export function linuxNameFault(account: string): string | undefined {
  return nameShape.test(account) ? undefined : `${JSON.stringify(account)} is no login name of a Linux machine`;
}

/**
 * Whether sshd put its demand for a new password in the command's place: its own words (session.c), in no other language.
 * Only a right credential hears them.
 */
export function demandsPassword(stderr: string): boolean {
  return /^Password change required but no TTY available/m.test(stderr);
}

/** A POSIX script as one command, whatever the login's shell is: in the C locale, with the usual path. */
export function inC(script: string): string {
  return `env LC_ALL=C LANGUAGE=C PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c ${quote(script)}`;
}

/** One word for the shell, whatever is in it. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
