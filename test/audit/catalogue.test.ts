/** The catalogue of events and the page made from it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { auditEventsPage } from '../../scripts/audit-events.ts';
import { catalogue } from '../../src/audit/audit.ts';

test('docs/audit-events.md is what scripts/audit-events.ts makes', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'audit-events.md'), 'utf8');
  expect(page).toBe(auditEventsPage());
});

test('every event is named room.thing.happened and says so in a sentence', () => {
  for (const [type, { says }] of Object.entries(catalogue)) {
    expect(type).toMatch(/^[a-z]+(\.[a-z-]+){1,2}$/);
    expect(says).toMatch(/^[A-Z].*\.$/);
  }
});
