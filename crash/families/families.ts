/** The families there are. A new one is one file and one entry here. */
import type { Family } from './family.ts';
import { linuxPasswords, sshKeys } from './linux.ts';

export const families: readonly Family[] = [linuxPasswords, sshKeys];
