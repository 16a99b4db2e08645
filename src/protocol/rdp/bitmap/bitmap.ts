/**
 * The door of RDP's pictures: out of a server's output into updates (`openBulk`, `openFastPath`, `slowPathUpdate`), and
 * updates onto a screen (`openScreen`). Pure, so that a gate, a worker and a browser can use the same.
 */
export { type Bulk, openBulk } from './bulk.ts';
export { isDrawable, maxUpdateBytes } from './limits.ts';
export { readRectangles } from './rectangles.ts';
export { type Dirty, openScreen, type Screen } from './screen.ts';
export { readSnapshot, writeSnapshot } from './snapshot.ts';
export { type FastPath, openFastPath, slowPathUpdate, type Update, updateCode } from './update.ts';
export { isViolation, type Violation } from '../../wire/violation.ts';
