/** What the policy tests share: the four templates as the specification has them, and chance that repeats itself. */
import { createCipheriv, createHash } from 'node:crypto';
import type { PolicyRules } from '../../../src/vault/policy/rules.ts';

const usual = {
  specialCharacters: '!@#$%^&*()_+-=[]{}|;:,.<>?',
  noUsername: true,
  noDictionaryWords: true,
  noSequential: true,
  noRepeatedChars: 3,
  rotation: true,
} as const;

export const templates: Readonly<Record<string, PolicyRules>> = {
  Standard: {
    ...usual,
    length: { min: 14, max: 32 },
    uppercase: 1,
    lowercase: 1,
    digits: 1,
    special: 1,
    history: 12,
    maxAgeDays: 90,
  },
  'High Security': {
    ...usual,
    length: { min: 20, max: 64 },
    uppercase: 2,
    lowercase: 2,
    digits: 2,
    special: 2,
    history: 24,
    maxAgeDays: 30,
  },
  'Network Device': {
    ...usual,
    length: { min: 16, max: 32 },
    uppercase: 1,
    lowercase: 1,
    digits: 1,
    special: null,
    history: 12,
    maxAgeDays: 90,
  },
  'Service Account': {
    ...usual,
    length: { min: 24, max: 64 },
    uppercase: 2,
    lowercase: 2,
    digits: 2,
    special: 2,
    history: 24,
    maxAgeDays: 365,
  },
};

export const standard = templates['Standard'] as PolicyRules;

/** The key stream of AES-CTR under a key made from `seed`: as good as chance, and the same every time. */
export function seeded(seed: string): (length: number) => Uint8Array {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return (length) => new Uint8Array(cipher.update(Buffer.alloc(length)));
}

/** Pearson's statistic of counts against equal, or given, expectations. */
export function chiSquare(counts: readonly number[], expected?: readonly number[]): number {
  const even = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count, n) => sum + (count - (expected?.[n] ?? even)) ** 2 / (expected?.[n] ?? even), 0);
}

/** The value that chi-square exceeds by chance once in a thousand times (Wilson and Hilferty). */
export function rare(freedom: number): number {
  const part = 2 / (9 * freedom);
  return freedom * (1 - part + 3.0902 * Math.sqrt(part)) ** 3;
}
