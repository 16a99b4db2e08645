/** Writes docs/audit-events.md from the catalogue of the audit room. `test/audit/catalogue.test.ts` compares them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalogue } from '../src/audit/catalogue.ts';

const page = join(import.meta.dirname, '..', 'docs', 'audit-events.md');

/** The page as it should be. */
export function auditEventsPage(): string {
  const rooms = Map.groupBy(Object.entries(catalogue), ([type]) => type.split('.')[0] ?? '');
  const parts = [...rooms].map(([room, events]) => {
    const rows = events.map(([type, { says }]) => `| \`${type}\` | ${says} |`);
    return `## ${room}\n\n| event | what happened |\n|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Audit events

Made by \`node scripts/audit-events.ts\` from \`src/audit/catalogue.ts\`, where the details of each event are declared.
How rows are chained and signed is in \`src/audit/FORMAT.md\`.

${parts.join('\n')}`;
}

if (import.meta.main) {
  mkdirSync(join(page, '..'), { recursive: true });
  writeFileSync(page, auditEventsPage());
}
