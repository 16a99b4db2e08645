/** What a decoder of any protocol returns instead of a message when the bytes break the rules. Pure. */
export interface Violation {
  readonly violation: string;
}

export function isViolation(value: unknown): value is Violation {
  return typeof value === 'object' && value !== null && 'violation' in value && typeof value.violation === 'string';
}
